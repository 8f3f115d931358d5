"""The calendar file of one registration: the same UID and SEQUENCE as the invitation that was sent."""

from libs.ical import Entry, Status, feed
from libs.settings import Settings
from libs.web.i18n import Language, _, translate
from services.registrations.problems import NoCalendarEntry
from services.registrations.registration_view import RegistrationView
from services.registrations.session_view import place

_STATUS: dict[str, Status] = {
    "confirmed": "CONFIRMED",
    "attended": "CONFIRMED",
    "absent": "CONFIRMED",
    "excused": "CONFIRMED",
    "cancelled": "CANCELLED",
}


def calendar_file(person: RegistrationView, settings: Settings, language: Language) -> bytes:
    """`METHOD:PUBLISH`, nobody named in it; raises `NoCalendarEntry` for who has no seat."""
    if person.status not in _STATUS:
        raise NoCalendarEntry
    facts = person.session.facts
    entry = Entry(
        uid=person.uid,
        sequence=person.sequence,
        summary=facts.title,
        start=person.session.local(facts.starts_at_utc),
        end=person.session.local(facts.ends_at_utc),
        last_modified=person.touched_at,
        description=_description(person, settings, language),
        location=translate(place(facts, person.seat_kind), language),
        geo=_position(person),
        url=f"{settings.base_url}/seances/{facts.id}",
        status=_STATUS[person.status],
        language=language,
        conference_url=person.room_link,
    )
    return feed([entry], name=facts.title, language=language, default_zone=facts.timezone)


def _description(person: RegistrationView, settings: Settings, language: Language) -> str:
    facts = person.session.facts
    lines = [
        translate(_("Numéro de confirmation : %(number)s", number=person.number), language),
        translate(_("À apporter : %(things)s", things=facts.bring), language) if facts.bring else "",
        translate(_("Téléphone : %(phone)s", phone=settings.phone), language),
    ]
    return "\n".join(line for line in lines if line)


def _position(person: RegistrationView) -> tuple[float, float] | None:
    venue = person.session.facts.venue
    if person.seat_kind == "online" or venue is None or venue.latitude is None or venue.longitude is None:
        return None
    return venue.latitude, venue.longitude
