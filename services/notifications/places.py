"""Where a session takes place, as lines of an address or as one line."""

from libs.messaging.contracts import SessionFacts, VenueFacts


def address_lines(venue: VenueFacts) -> tuple[str, ...]:
    """Name, street, municipality: what one copies into a map or onto an envelope."""
    code = f"{venue.postal_code[:3]} {venue.postal_code[-3:]}" if venue.postal_code else ""
    town = f"{venue.municipality} ({venue.province[-2:]})" if venue.municipality else ""
    return tuple(line for line in (venue.name, venue.street, "  ".join(filter(None, (town, code)))) if line)


def one_line(venue: VenueFacts) -> str:
    """« Bibliothèque X, 1100, route de l’Église, Québec »."""
    return ", ".join(line for line in (venue.name, venue.street, venue.municipality) if line)


def is_by_video(facts: SessionFacts) -> bool:
    """Whether whom these facts were told had an online seat: in a hybrid session only they got its link."""
    return facts.modality == "online" or (facts.modality == "hybrid" and facts.online_url is not None)
