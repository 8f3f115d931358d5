"""Whether a federated message is believed: who signed it, for whom it speaks, and what it may speak of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from libs.messaging.bus import Message
from libs.messaging.contracts import Payload
from libs.messaging.envelope import Envelope, NotUnderstood, read_envelope, read_payload
from libs.messaging.federated import FederatedSession, FederatedTally, Heartbeat
from libs.messaging.signing import signed_by, verify
from services.national.plausible import FIRST_YEAR, LAST_YEAR, implausible, unreadable

LARGEST_EPOCH, LARGEST_VERSION = 2**31 - 1, 2**63 - 1
OF_SESSIONS = ("federated.sessions", "federated.seats")
"""The streams whose keys are ids of sessions."""


class Reason(StrEnum):
    """Why a message is not believed, in the order in which they are asked: the first that is true counts."""

    UNKNOWN_INSTANCE = "unknown-instance"
    SUSPENDED_INSTANCE = "suspended-instance"
    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    WRONG_SOURCE = "wrong-source"
    UNKNOWN_KEY = "unknown-key"
    KEY_NOT_VALID = "key-not-valid"
    BAD_SIGNATURE = "bad-signature"
    UNCONFIRMED_EPOCH = "unconfirmed-epoch"
    REGION_NOT_THEIRS = "region-not-theirs"
    NOT_THEIRS = "not-theirs"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and when what it signs is believed: from the first instant, up to before the last."""

    public_key: bytes
    valid_from: datetime
    valid_until: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A region from a day on, up to before another."""

    code: str
    valid_from: date
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """An instance as the registry has it. Without a region named it may speak for all of them.

    `epoch` None: every epoch of its own is confirmed beforehand.
    """

    suspended: bool
    epoch: int | None
    keys: Mapping[str, Key]
    regions: Sequence[Region] = ()


Registry = Mapping[str, Known]
Owners = Mapping[str, str]
"""Which instance first said that a session exists, by the session's id."""
_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""A session's id in the one way in which it is a key."""


@dataclass(frozen=True, slots=True)
class Believed:
    """A message that may touch the figures. `payload` None: what its key names is gone."""

    instance: str
    stream: str
    """`sessions`, `seats`, `tallies` or `heartbeat`."""
    key_id: str
    envelope: Envelope
    payload: Payload | None

    @property
    def session_id(self) -> str | None:
        """The session that it speaks of, for the streams that speak of one."""
        return self.envelope.subject if self.stream in {"sessions", "seats"} else None


class Doubt(Exception):
    """A message that goes into quarantine. `detail` says more of a malformed one, without its values."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def judge(message: Message, registry: Registry, owners: Owners, now: datetime) -> Believed:
    """The message as it may be applied, or `Doubt`.

    `now` decides about revocations alone: what a key signed while it was valid stays valid, so that a
    message says the same whenever it is read again.
    """
    instance = message.topic.instance
    known = registry.get(instance or "")
    if instance is None or known is None:
        raise Doubt(Reason.UNKNOWN_INSTANCE)
    if known.suspended:
        raise Doubt(Reason.SUSPENDED_INSTANCE)
    key_id = signed_by(message)
    if key_id is None:
        raise Doubt(Reason.UNSIGNED)
    envelope = _envelope(message)
    if envelope.source != f"/tournee/{instance}/{message.topic.writer}":
        raise Doubt(Reason.WRONG_SOURCE)
    _check_signature(message, known, key_id, envelope, now)
    if known.epoch is not None and envelope.epoch > known.epoch:
        raise Doubt(Reason.UNCONFIRMED_EPOCH)
    payload = _payload(message)
    _check_subject(message, payload)
    if isinstance(payload, Heartbeat) and payload.instance != instance:
        raise Doubt(Reason.WRONG_SOURCE)
    if not _may_speak_for(known.regions, payload):
        raise Doubt(Reason.REGION_NOT_THEIRS)
    believed = Believed(instance, message.topic.logical.partition(".")[2], key_id, envelope, payload)
    check_owner(believed, owners)
    return believed


def check_owner(believed: Believed, owners: Owners) -> None:
    """`Doubt` when the session that this speaks of was first said by another."""
    session_id = believed.session_id
    if session_id is not None and owners.get(session_id, believed.instance) != believed.instance:
        raise Doubt(Reason.NOT_THEIRS)


def session_named(message: Message) -> str | None:
    """The session whose owner must be known to judge `message`."""
    of_one = message.topic.logical in OF_SESSIONS and _ID.fullmatch(message.key)
    return message.key if of_one else None


def _envelope(message: Message) -> Envelope:
    detail = unreadable(message.key, message.headers, message.value)
    if detail is not None:
        raise Doubt(Reason.MALFORMED, detail)
    try:
        envelope = read_envelope(message)
    except NotUnderstood as error:
        raise Doubt(Reason.MALFORMED, str(error)) from None
    if not (1 <= envelope.epoch <= LARGEST_EPOCH and 0 <= envelope.version <= LARGEST_VERSION):
        raise Doubt(Reason.MALFORMED, "epoch or version")
    if not FIRST_YEAR <= envelope.time.year <= LAST_YEAR:
        raise Doubt(Reason.MALFORMED, "time")
    return envelope


def _check_signature(message: Message, known: Known, key_id: str, envelope: Envelope, now: datetime) -> None:
    key = known.keys.get(key_id)
    if key is None:
        raise Doubt(Reason.UNKNOWN_KEY)
    if key.revoked_at is not None and key.revoked_at <= now:
        raise Doubt(Reason.KEY_NOT_VALID)
    if envelope.time < key.valid_from or (key.valid_until is not None and envelope.time >= key.valid_until):
        raise Doubt(Reason.KEY_NOT_VALID)
    if not verify(message, key.public_key):
        raise Doubt(Reason.BAD_SIGNATURE)


def _payload(message: Message) -> Payload | None:
    try:
        payload = read_payload(message)
    except NotUnderstood as error:
        raise Doubt(Reason.MALFORMED, str(error)) from None
    detail = implausible(message.key, payload) if payload is not None else None
    if detail is not None:
        raise Doubt(Reason.MALFORMED, detail)
    return payload


def _check_subject(message: Message, payload: Payload | None) -> None:
    """What is gone has nothing but its key, which must be written as the state's was."""
    if payload is None and message.topic.logical in OF_SESSIONS and session_named(message) is None:
        raise Doubt(Reason.MALFORMED, "key")


def _may_speak_for(regions: Sequence[Region], payload: Payload | None) -> bool:
    match payload:
        case FederatedSession(region=str(region), starts_at=starts_at):
            return _theirs(regions, region, starts_at.date(), starts_at.date())
        case FederatedTally(cell=cell) if cell.region:
            first = date.fromisoformat(f"{cell.month}-01")
            return _theirs(regions, cell.region, first, _last_day(first))
    return True


def _theirs(regions: Sequence[Region], code: str, first: date, last: date) -> bool:
    """Whether the region is theirs on one of these days, or no region is named at all."""
    if not regions or not code:
        return True
    return any(
        region.code == code
        and region.valid_from <= last
        and (region.valid_until is None or region.valid_until > first)
        for region in regions
    )


def _last_day(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
