"""What a request asks of the calendar: its filters, the place they mean, today, and what went wrong."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.clock import utc_now, zone
from libs.web.forms import FormErrors
from libs.web.i18n import LazyString, _
from services.events import public_queries
from services.events.calendar_filters import CalendarFilters, read_filters
from services.events.nearby import NotFound as PlaceNotFound
from services.events.places import Places
from services.events.problems import UnknownSession
from services.events.public_queries import Asked


@dataclass(frozen=True, slots=True)
class Question:
    """`typed` are the filters as given, for the form; `asked` those that are applied.

    `unknown` is the place that nobody knows. `regions` are the codes with sessions to come.
    """

    asked: Asked
    typed: CalendarFilters
    mistakes: FormErrors
    unknown: PlaceNotFound | None
    updated_at: datetime | None
    home_zone: str
    regions: tuple[str, ...]


async def ask(request: Request, session: AsyncSession) -> Question:
    """Read the request's filters; a value that can't be understood is named and left out, never fatal."""
    filters, mistakes = read_filters(request.query_params)
    fresh = await public_queries.freshness(session)
    now = utc_now()
    places: Places = request.app.state.places
    found = await places.find(session, filters.near) if filters.near else None
    unknown = found if isinstance(found, PlaceNotFound) else None
    if unknown is not None:
        mistakes = FormErrors({"near": _not_found(unknown), **mistakes})  # the form's own order
    applied = replace(filters, near="") if unknown else filters
    return Question(
        asked=Asked(
            filters=applied,
            now=now,
            today=now.astimezone(zone(fresh.home_zone)).date(),
            nearby=None if isinstance(found, PlaceNotFound) else found,
        ),
        typed=filters,
        mistakes=mistakes,
        unknown=unknown,
        updated_at=fresh.updated_at,
        home_zone=fresh.home_zone,
        regions=fresh.regions,
    )


def _not_found(unknown: PlaceNotFound) -> LazyString:
    if unknown.is_postal_code:
        return _("Nous ne connaissons pas ce code postal. Essayez le nom de votre ville.")
    return _("Nous ne connaissons pas ce lieu. Essayez une ville voisine ou votre code postal.")


def session_id_of(text: str) -> UUID:
    """The id in an address; what isn't one names no page, like an id that nobody has."""
    try:
        return UUID(text)
    except ValueError as error:
        raise UnknownSession from error
