"""The equity report in the JSON API: this instance's own figures, for its staff."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query

from libs.web.app import Reading
from libs.web.auth import Staff
from libs.web.equity_answer import EquityAnswer, lines_of
from services.registrations import equity_queries
from services.registrations.equity_queries import Asked

router = APIRouter(prefix="/api/registrations/v1", tags=["equity"])

_MONTH: Final = r"^(\d{4}-(0[1-9]|1[0-2]))?$"
_ID: Final = r"^[\w.-]{0,60}$"


class RegionalEquity(EquityAnswer):
    """`counted_at`: when counting last went through, null before the first time. It is done daily."""

    counted_at: datetime | None


@router.get("/equity", summary="Seats, waits, answer times and attendance by channel")
async def show(
    staff: Staff,
    tx: Reading,
    from_: Annotated[
        str, Query(alias="from", pattern=_MONTH, description="First month of the sessions, 2026-10")
    ] = "",
    to: Annotated[str, Query(pattern=_MONTH, description="Last month")] = "",
    stream: Literal["", "public", "pro"] = "",
    theme: Annotated[str, Query(pattern=_ID)] = "",
    modality: Literal["", "on_site", "online", "hybrid"] = "",
) -> RegionalEquity:
    """The equity report (I4, I7, I9, I10, I19 and I20 by channel), whatever the region shares.

    Percentages and medians are null below 10. Medians are minutes, with the bucket that they were read in.
    """
    report = await equity_queries.equity(tx, Asked(from_, to, stream, theme, modality))
    return RegionalEquity(
        **dict(lines_of(report)),
        counted_at=await equity_queries.counted_at(tx),
    )
