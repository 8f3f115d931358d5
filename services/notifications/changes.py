"""What has changed in a session since a person was last told of it."""

from libs.messaging.contracts import SessionFacts


def changes(told: SessionFacts, now: SessionFacts) -> frozenset[str]:
    """Which of `date`, `time`, `place`, `link`, `title`, `bring` differ, as the person knows them.

    A new date is `date` alone, whatever the hour: it is told with its hour. The zone counts only through
    the instants, a venue through what people read of it.
    """
    found = set()
    if told.starts_at.date() != now.starts_at.date():
        found.add("date")
    elif (told.starts_at_utc, told.ends_at_utc) != (now.starts_at_utc, now.ends_at_utc):
        found.add("time")
    if _place(told) != _place(now):
        found.add("place")
    if told.online_url != now.online_url:
        found.add("link")
    for name in ("title", "bring"):
        if getattr(told, name) != getattr(now, name):
            found.add(name)
    return frozenset(found)


def _place(facts: SessionFacts) -> tuple[object, ...] | None:
    venue = facts.venue
    if facts.modality == "online" or venue is None:
        return None
    return (venue.name, venue.street, venue.municipality, venue.postal_code)
