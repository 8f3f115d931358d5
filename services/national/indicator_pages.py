"""The pages of the indicators."""

from fastapi import APIRouter

router = APIRouter(prefix="/national", include_in_schema=False)
