"""Who may look at the national pages: national staff, and anybody at the calendar where it is public."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from libs.web.app import service_of
from libs.web.auth import StaffMember, require_staff, staff_of


def require_national(request: Request) -> StaffMember:
    """The member of the national team, or `SignInNeeded`."""
    return require_staff(request)


def calendar_reader(request: Request) -> StaffMember | None:
    """Whoever may read the calendar of the country: everybody if NATIONAL_CALENDAR_PUBLIC says so."""
    if service_of(request).settings.national_calendar_public:
        return staff_of(request)
    return require_national(request)


National = Annotated[StaffMember, Depends(require_national)]
CalendarReader = Annotated[StaffMember | None, Depends(calendar_reader)]
