"""The indicators for programs: exact for national staff, or rounded as they may be published."""

import base64
import binascii
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs.web.app import Reading, service_of
from libs.web.auth import NationalStaff
from libs.web.i18n import LazyString, _, language_of, translate
from libs.web.problems import Malformed, NotFound
from libs.web.validation import FieldError
from services.national import snapshots
from services.national.indicators import wording
from services.national.indicators.answering import Answer, answer, said
from services.national.indicators.asking import MOST, Question, read_question, unpublishable
from services.national.rounding import national_key

router = APIRouter(prefix="/api/national/v1", tags=["indicators"])

FORMATS: Final = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@router.get("/indicators", summary="Indicators, told apart as asked")
async def indicators(
    request: Request,
    reading: Reading,
    staff: NationalStaff,
    indicator: Annotated[
        str, Query(description="Ids, `I1,I4`; without any, all that today's data feed")
    ] = "",
    by: Annotated[
        str,
        Query(
            description="Dimensions: region, month, stream, theme, channel, modality, state, delivered_by, "
            "language, instance. Each of them is a filter too: `stream=public`, several values with commas"
        ),
    ] = "",
    from_: Annotated[
        str, Query(alias="from", description="First month, 2026-10; a day stands for its whole month")
    ] = "",
    to: Annotated[str, Query(description="Last month")] = "",
    format: Annotated[str, Query(description="json or csv")] = "json",
    rounded: Annotated[str, Query(description="true: as it may be published, counts rounded to base 5")] = "",
    snapshot: Annotated[str, Query(description="A month: the figures as they were reported for it")] = "",
    version: Annotated[str, Query(description="Of the snapshot; without it, the newest")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    cursor: str = "",
) -> Response:
    """`items`: one figure each, with its cell; `value` is null where nobody can say it, never zero.

    `missing`: the instances that aren't in the figures, or whose figures are old, and why. `left_out`: the
    indicators that can't be told apart as asked. Percentages come with their numerator and denominator, and
    only from 10 on; medians with the interval that they were read in.
    """
    question = read_question(request.query_params)
    if format not in FORMATS:
        raise Malformed(errors=[FieldError("format", _("Choisissez json ou csv."))])
    found = await find(request, reading, question)
    headers = {"Cache-Control": "no-store"}
    if format == "csv":
        body = wording.as_csv(*wording.table(found))
        headers["Content-Disposition"] = 'attachment; filename="indicateurs.csv"'
        return Response(body, headers=headers, media_type=FORMATS["csv"])
    start = _start(cursor)
    page = found.rows[start : start + limit]
    more = start + limit < len(found.rows)

    def say(text: LazyString) -> str:
        return translate(text, language_of(request), request.app.state.package)

    content: dict[str, Any] = {
        "items": [wording.item(row) for row in page],
        "next": _cursor(start + limit) if more else None,
        "missing": [wording.missing_item(one) for one in found.missing],
        "left_out": [wording.left_out_item(one, say) for one in found.left_out],
        "question": wording.described(found.question),
    }
    return Response(orjson.dumps(content), headers=headers, media_type=FORMATS["json"])


async def find(request: Request, session: AsyncSession, question: Question) -> Answer:
    """The answer to a question, from what is there now or from a snapshot (404 if there is none)."""
    key = national_key(service_of(request).settings.secret)
    if question.snapshot is None:
        return await answer(session, question, key)
    kept = await snapshots.newest(session, question.snapshot, question.version)
    if kept is None:
        raise NotFound(_("Il n’y a pas d’instantané de ce mois, ou pas cette version."))
    if wrong := unpublishable(question):
        raise Malformed(errors=[FieldError(name, text) for name, text in wrong])
    cells, missing, concerned = await snapshots.kept_cells(session, question, kept)
    return said(question, cells, missing, concerned, kept.taken_at, key)


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(str(start).encode()).decode().rstrip("=")


def _start(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        start = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except (ValueError, binascii.Error):
        start = -1
    if not 0 <= start < 10**9:
        raise Malformed(errors=[FieldError("cursor", _("Cette page de la liste n’existe pas."))])
    return start
