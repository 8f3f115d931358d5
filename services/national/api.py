"""The JSON API of national (`/api/national/v1`): sessions of the country, and how each instance is doing."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from starlette.requests import Request

from libs.web.app import Reading, service_of
from libs.web.auth import NationalStaff
from libs.web.etags import etag
from services.national import queries
from services.national.cursors import read_cursor, read_number
from services.national.inputs import Day, ReplayInput
from services.national.problems import InstanceUnknown, SessionUnknown
from services.national.replaying import replay
from services.national.views import (
    InstanceList,
    InstanceView,
    Log,
    LogEntry,
    Quarantine,
    QuarantinedView,
    ReasonCount,
    ReplayView,
    SessionList,
    instance_view,
    next_session,
    session_view,
)

PREFIX = "/api/national/v1"
router = APIRouter(prefix=PREFIX, tags=["national"])

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=200)]
Word = Annotated[str | None, Query(max_length=60)]


@router.get("/instances")
async def list_instances(staff: NationalStaff, db: Reading) -> InstanceList:
    """Every registered instance: when it was last heard, and how much of what it says is here."""
    return InstanceList(items=[instance_view(row) for row in await queries.instances(db)])


@router.get("/instances/{instance}")
async def show_instance(instance: str, staff: NationalStaff, db: Reading, response: Response) -> InstanceView:
    """One instance; its `ETag` is what a PATCH names."""
    rows = await queries.instances(db, instance)
    if not rows:
        raise InstanceUnknown
    response.headers["ETag"] = etag(rows[0]["version"])
    return instance_view(rows[0])


@router.get("/registry/log")
async def show_log(
    staff: NationalStaff, db: Reading, instance: Word = None, limit: Limit = 100, cursor: Cursor = None
) -> Log:
    """Every change of the registry: who made it, when and why; the newest first."""
    before = read_number(cursor) if cursor else 0
    rows = await queries.log(db, instance, before, limit)
    items = [LogEntry(**row) for row in rows]
    return Log(items=items, next=str(items[-1].id) if len(items) == limit else None)


@router.get("/quarantine")
async def show_quarantine(
    staff: NationalStaff,
    db: Reading,
    instance: Word = None,
    reason: Word = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Quarantine:
    """What was not believed and has touched no figure, with the reason; `counts` is of all of it."""
    after = read_number(cursor) if cursor else 0
    rows = await queries.quarantined(db, instance, reason, after, limit)
    return Quarantine(
        items=[QuarantinedView(**row) for row in rows],
        counts=[ReasonCount(**row) for row in await queries.reasons(db)],
        next=str(rows[-1]["id"]) if len(rows) == limit else None,
    )


@router.post("/quarantine/replay")
async def replay_quarantine(request: Request, staff: NationalStaff, asked: ReplayInput) -> ReplayView:
    """Judge what is in quarantine again. Nothing is applied that is older than what is there."""
    instances = [asked.instance] if asked.instance else None
    done = await replay(service_of(request).database, instances)
    return ReplayView(applied=done.applied, left=done.left)


@router.get("/sessions")
async def list_sessions(
    staff: NationalStaff,
    db: Reading,
    instance: Word = None,
    region: Word = None,
    stream: Literal["public", "pro"] | None = None,
    theme: Word = None,
    modality: Literal["on_site", "online", "hybrid"] | None = None,
    language: Word = None,
    status: Literal["published", "held", "cancelled"] | None = None,
    first: Annotated[Day | None, Query(alias="from")] = None,
    last: Annotated[Day | None, Query(alias="to")] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SessionList:
    """The sessions of the country, as the instances that own them say them, by their start.

    `from` and `to` are local days; `q` looks for words in the title, the place and the town.
    """
    wanted = queries.Wanted(
        instance=instance,
        region=region,
        stream=stream,
        theme=theme,
        modality=modality,
        language=language,
        status=status,
        first=first,
        last=last,
        words=q,
    )
    rows = await queries.sessions(db, wanted, read_cursor(cursor) if cursor else None, limit)
    return SessionList(
        items=[session_view(row) for row in rows],
        next=next_session(rows[-1]) if len(rows) == limit else None,
    )


@router.get("/sessions/{session_id}")
async def show_session(session_id: UUID, staff: NationalStaff, db: Reading) -> dict[str, object]:
    """One session."""
    row = await queries.session(db, session_id)
    if row is None:
        raise SessionUnknown
    return session_view(row)
