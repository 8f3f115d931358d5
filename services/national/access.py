"""Who may read the calendar of the country: national staff, or anybody where it is public."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from libs.web.app import service_of
from libs.web.auth import require_national


def may_read_calendar(request: Request) -> None:
    """Raises as `require_national` does, unless NATIONAL_CALENDAR_PUBLIC opens it: it holds public facts."""
    if not service_of(request).settings.national_calendar_public:
        require_national(request)


CalendarReader = Annotated[None, Depends(may_read_calendar)]
