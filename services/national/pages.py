"""All pages of the national view."""

from fastapi import APIRouter

from services.national import (
    calendar_feed,
    flux,
    indicator_pages,
    pages_calendar,
    pages_equity,
    pages_instances,
    pages_registry,
    pages_sessions,
    pages_today,
)

router = APIRouter(include_in_schema=False)
_PARTS = (
    pages_today,
    pages_sessions,
    calendar_feed,
    pages_calendar,
    pages_instances,
    pages_registry,
    indicator_pages,
    pages_equity,
    flux,
)
for part in _PARTS:
    router.include_router(part.router)
