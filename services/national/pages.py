"""All pages of the national view."""

from fastapi import APIRouter

from services.national import flux, pages_today

router = APIRouter(include_in_schema=False)
for part in (pages_today, flux):
    router.include_router(part.router)
