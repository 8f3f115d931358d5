"""What every coordinator's page starts from: who asks, in which language, what time it is at home."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.clock import utc_now, zone
from libs.web.app import service_of
from libs.web.auth import StaffMember
from libs.web.forms import clean
from libs.web.i18n import language_of
from libs.web.idempotency import Idempotency
from libs.web.problems import Problem
from libs.web.templating import render
from services.events import public_queries
from services.events.coordination.words import STATUS_COLOURS, STATUSES, notice_of

LONGEST_WORDS = 100
MOST_PAGES = 10_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Desk:
    """`home_zone` is where most sessions are; `now` an instant, `today` its day there."""

    request: Request
    language: str
    home_zone: str
    now: datetime

    @property
    def today(self) -> date:
        return self.now.astimezone(zone(self.home_zone)).date()

    @property
    def instance(self) -> str:
        return service_of(self.request).settings.instance

    def page(self, template: str, status: int = 200, **context: object) -> HTMLResponse:
        """`coordination/{template}` with what the frame of these pages needs."""
        frame = {
            "notice": notice_of(self.request),
            "status_words": STATUSES,
            "status_colours": STATUS_COLOURS,
            "home_zone": self.home_zone,
            "today": self.today,
            "form_id": str(uuid4()),
        }
        return render(self.request, f"coordination/{template}", status, **(frame | context))


async def desk_of(request: Request, db: AsyncSession) -> Desk:
    home_zone = (await public_queries.freshness(db)).home_zone
    return Desk(request, language_of(request), home_zone, utc_now())


async def tried(
    db: AsyncSession, work: Callable[[], Awaitable[Result]]
) -> tuple[Result | None, Problem | None]:
    """What `work` made, or the problem that it met and that undid all of it; exactly one is None.

    Unlike a raised problem this keeps the transaction usable: the form can be shown again from it.
    """
    try:
        async with db.begin_nested():
            return await work(), None
    except Problem as problem:
        return None, problem


def once(request: Request, staff: StaffMember, body: bytes) -> Idempotency:
    """A form that creates something, sent twice (a double click), creates it once.

    Each form carries a random `form_id`, so the same bytes are the same form; after a correction they
    are others, and make something new.
    """
    return Idempotency(
        route=f"form {request.url.path}",
        credential=sha256(staff.id.encode()).digest(),
        key=sha256(body).hexdigest(),
        body_hash=b"",
    )


# What an address asks for. Somebody may have typed it: what can't be understood is left out.


def words_asked(request: Request, name: str) -> str:
    return clean(request.query_params.get(name, "").replace("\0", ""))[:LONGEST_WORDS]


def choice_asked(request: Request, name: str, known: Any) -> str:
    value = request.query_params.get(name, "")
    return value if value in known else ""


def id_asked(request: Request, name: str) -> UUID | None:
    return id_of(request.query_params.get(name, ""))


def id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def day_asked(request: Request, name: str) -> date | None:
    try:
        return date.fromisoformat(request.query_params.get(name, ""))
    except ValueError:
        return None


def page_asked(request: Request) -> int:
    text = request.query_params.get("page", "")
    return min(int(text), MOST_PAGES) if text.isascii() and text.isdigit() and 0 < len(text) < 9 else 1


def same_with(request: Request, **changes: object) -> str:
    """This address with other parameters; None takes one out."""
    url = request.url.remove_query_params(["fait", "nombre", *changes])
    url = url.include_query_params(**{name: value for name, value in changes.items() if value is not None})
    return f"?{url.query}"
