"""The CloudEvents 1.0 envelope in binary content mode: `ce_*` headers around a JSON payload."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from pydantic import ValidationError

from libs.messaging.bus import Message
from libs.messaging.contracts import BY_STREAM, Payload
from libs.messaging.topics import Topic

SPEC_VERSION = "1.0"


class NotUnderstood(Exception):
    """A message that no retry can make readable; it is parked with this text, which holds no payload."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of one message (CloudEvents 1.0, section 3; `epoch` and `version` are extensions).

    State is what is newer by (epoch, version). `subject` is the key; `id` is unique within `source`.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    epoch: int
    version: int

    @property
    def newness(self) -> tuple[int, int]:
        return (self.epoch, self.version)


def pack(
    topic: Topic,
    *,
    instance: str,
    key: str,
    partition_key: str,
    epoch: int,
    version: int,
    time: datetime,
    payload: Payload | None,
) -> Message:
    """A message that says the whole current state of `key`; without a payload, that it is gone."""
    headers = headers_of(
        topic,
        instance=instance,
        key=key,
        epoch=epoch,
        version=version,
        time=time.astimezone(UTC).isoformat(),
        erased=payload is None,
    )
    value = None if payload is None else orjson.dumps(payload.model_dump(mode="json"))
    return Message(topic=topic, key=key, value=value, partition_key=partition_key, headers=headers)


def headers_of(
    topic: Topic, *, instance: str, key: str, epoch: int, version: int, time: str, erased: bool = False
) -> dict[str, str]:
    """The attributes of a message about `key`; `time` is an RFC 3339 instant in UTC."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": f"{topic.logical}:{key}:{epoch}:{version}",
        "ce_source": f"/tournee/{instance}/{topic.writer}",
        "ce_type": f"tournee.{topic.logical}.{'erased' if erased else 'state'}",
        "ce_subject": key,
        "ce_time": time,
        "ce_epoch": str(epoch),
        "ce_version": str(version),
    }
    if not erased:
        headers["ce_dataschema"] = f"/schemas/{topic.logical}.json"
        headers["content-type"] = "application/json"
    return headers


def unpack(message: Message) -> tuple[Envelope, Payload | None]:
    """The envelope and payload of a message (None for a tombstone), or `NotUnderstood`."""
    envelope = read_envelope(message)
    return envelope, read_payload(message)


def read_envelope(message: Message) -> Envelope:
    """The envelope of a message alone, for who decides by it whether the rest is worth reading."""
    envelope = _envelope(message.headers)
    if envelope.subject != message.key:
        raise NotUnderstood("ce_subject is not the message's key")
    return envelope


def read_payload(message: Message) -> Payload | None:
    """The payload of a message, None for a tombstone; `NotUnderstood` names the places, not what is there."""
    if message.value is None:
        return None
    try:
        return BY_STREAM[message.topic.logical].model_validate_json(message.value)
    except ValidationError as error:
        places = {".".join(str(part) for part in item["loc"]) + " " + item["type"] for item in error.errors()}
        raise NotUnderstood("payload: " + ", ".join(sorted(places))[:500]) from None


def _envelope(headers: Mapping[str, str]) -> Envelope:
    try:
        if headers["ce_specversion"] != SPEC_VERSION:
            raise NotUnderstood("ce_specversion is not 1.0")
        time = datetime.fromisoformat(headers["ce_time"])
        if time.tzinfo is None:
            raise NotUnderstood("ce_time has no offset")
        return Envelope(
            id=headers["ce_id"],
            source=headers["ce_source"],
            type=headers["ce_type"],
            subject=headers["ce_subject"],
            time=time,
            epoch=int(headers["ce_epoch"]),
            version=int(headers["ce_version"]),
        )
    except KeyError as missing:
        raise NotUnderstood(f"header {missing.args[0]} is missing") from None
    except ValueError:
        raise NotUnderstood("ce_time, ce_epoch or ce_version is malformed") from None
