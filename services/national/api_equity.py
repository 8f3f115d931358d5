"""The equity report for programs: exact, for national staff."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from libs.web.app import Reading
from libs.web.auth import NationalStaff
from libs.web.equity_answer import EquityAnswer, lines_of
from libs.web.i18n import _
from libs.web.problems import Malformed
from libs.web.validation import FieldError
from services.national.indicators import wording
from services.national.indicators.asking import read_question
from services.national.indicators.by_channel import equity

router = APIRouter(prefix="/api/national/v1", tags=["indicators"])

FILTERS: Final = ("region", "stream", "theme", "modality", "instance")
_PARAMETERS: Final = (*FILTERS, "from", "to", "lang")


class NationalEquity(EquityAnswer):
    """`missing`: the instances that aren't in the figures, or whose figures are old, and why: never zero."""

    missing: list[dict[str, Any]]
    question: dict[str, Any]


@router.get("/equity", summary="Seats, waits, answer times and attendance by channel")
async def show(
    request: Request,
    response: Response,
    reading: Reading,
    staff: NationalStaff,
    from_: Annotated[
        str, Query(alias="from", description="First month, 2026-10; a day stands for its whole month")
    ] = "",
    to: Annotated[str, Query(description="Last month")] = "",
    region: Annotated[str, Query(description="Region codes, with commas; of this and what follows")] = "",
    stream: Annotated[str, Query(description="public, pro")] = "",
    theme: str = "",
    modality: Annotated[str, Query(description="on_site, online, hybrid")] = "",
    instance: str = "",
) -> NationalEquity:
    """The equity report (I4, I7, I9, I10, I19 and I20 by channel) of the sessions of these months.

    Percentages and medians are null below 10. Medians are minutes, with the bucket that they were read in.
    """
    wrong = [
        FieldError(name, _("Ce paramètre n’existe pas ici."))
        for name in dict.fromkeys(request.query_params.keys())
        if name not in _PARAMETERS
    ]
    if wrong:
        raise Malformed(errors=wrong)
    found = await equity(reading, read_question(request.query_params))
    response.headers["Cache-Control"] = "no-store"
    return NationalEquity(
        **dict(lines_of(found.report)),
        missing=[wording.missing_item(one) for one in found.missing],
        question=wording.described(found.question),
    )
