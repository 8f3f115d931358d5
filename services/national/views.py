"""What the API shows of instances, the registry's log, the quarantine and sessions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import RowMapping

from libs.clock import UnknownZone, zone
from services.national.cursors import write_cursor

STREAMS = ("sessions", "seats", "tallies")


class Completeness(BaseModel):
    """How much of what an instance declares is here; `declared` is null before its first heartbeat."""

    declared: int | None
    received: int


class KeyView(BaseModel):
    key_id: str
    public_key: str
    valid_from: datetime
    valid_until: datetime | None
    revoked_at: datetime | None


class RegionView(BaseModel):
    region: str
    valid_from: str
    valid_until: str | None


class InstanceView(BaseModel):
    """`stale`: it can't be heard, and its figures are as old as `offline_since`; null: never heard.

    `lag` is how far it is behind itself. An empty list of regions means all of them.
    """

    instance: str
    name: str
    status: str
    own: bool
    epoch: int
    registered_at: datetime
    last_seen: datetime | None
    stale: bool
    offline_since: datetime | None
    lag: int | None
    software: str | None
    url: str | None
    shares: dict[str, str]
    completeness: dict[str, Completeness]
    quarantined: int
    keys: list[KeyView]
    regions: list[RegionView]


class InstanceList(BaseModel):
    items: list[InstanceView]
    next: str | None = None


class LogEntry(BaseModel):
    id: int
    at: datetime
    who: str
    what: str
    instance: str
    details: dict[str, Any]
    reason: str


class Log(BaseModel):
    items: list[LogEntry]
    next: str | None = None


class QuarantinedView(BaseModel):
    """`reason` as in docs/federation.md; `detail` says what is malformed. The value itself isn't shown."""

    id: int
    topic: str
    instance: str
    position: int
    key: str
    reason: str
    detail: str
    headers: dict[str, str]
    bytes: int | None
    received_at: datetime


class ReasonCount(BaseModel):
    instance: str
    reason: str
    count: int
    newest: datetime


class Quarantine(BaseModel):
    items: list[QuarantinedView]
    counts: list[ReasonCount]
    next: str | None = None


class ReplayView(BaseModel):
    """How many messages were believed now, and how many are still doubted."""

    applied: int
    left: int


class SessionList(BaseModel):
    items: list[dict[str, Any]]
    next: str | None = None


def instance_view(row: RowMapping) -> InstanceView:
    declared = row["streams"] or {}
    completeness = {
        name: Completeness(
            declared=declared[name]["count"] if name in declared else None, received=row[name] or 0
        )
        for name in STREAMS
    }
    offline_since = row["last_seen"] if row["stale"] else None
    return InstanceView(
        **{
            name: row[name]
            for name in (
                "instance", "name", "status", "own", "epoch", "registered_at", "last_seen", "stale", "lag",
                "software", "url", "quarantined", "keys", "regions",
            )
        },
        shares=row["shares"] or {},
        completeness=completeness,
        offline_since=offline_since,
    )  # fmt: skip


_SEATS = ("capacity", "confirmed", "offered", "held", "available", "waitlisted")
_FACTS = (
    "instance", "region", "title", "status", "stream", "kind", "theme", "level", "language", "modality",
    "delivered_by", "timezone", "url", "opens_at", "cancelled_at",
)  # fmt: skip


def session_view(row: RowMapping) -> dict[str, Any]:
    """`starts_at` and `ends_at` with their offset, beside the wall time and zone that were decided.

    `seats` is null while they haven't arrived.
    """
    view: dict[str, Any] = {"id": str(row["id"])} | {name: row[name] for name in _FACTS}
    view["starts_at"] = _there(row["starts_at_utc"], row["timezone"])
    view["ends_at"] = _there(row["ends_at_utc"], row["timezone"])
    view["starts_at_local"], view["ends_at_local"] = row["starts_at"], row["ends_at"]
    view["venue"] = row["venue_id"] and {
        "id": str(row["venue_id"]),
        "name": row["venue_name"],
        "municipality": row["municipality"],
        "province": row["province"],
        "latitude": row["latitude"],
        "longitude": row["longitude"],
    }
    view["registration_modes"] = row["registration_modes"]
    view["planned"] = row["planned"]
    said = row["seats_updated_at"] is not None
    view["seats"] = {name: row[name] for name in _SEATS} | {"by_kind": row["by_kind"]} if said else None
    return view


def next_session(row: RowMapping) -> str:
    id_: UUID = row["id"]
    return write_cursor(row["starts_at_utc"], id_)


def _there(moment: datetime, timezone: str) -> datetime:
    """The instant as the clocks there show it; in UTC where nobody here knows the zone."""
    try:
        return moment.astimezone(zone(timezone))
    except UnknownZone:
        return moment
