"""The AsyncAPI 3.0 document of all streams, made from `topics` and the messages' models.

`python -m libs.messaging.asyncapi` writes it to docs/asyncapi.json; every service shows it as
/asyncapi.json.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from libs.messaging import topics
from libs.messaging.contracts import BY_STREAM
from libs.messaging.topics import Topic

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.json"

Json = dict[str, Any]

_INSTANCE = "{instance}"
_REFERENCE = "#/components/schemas/"
_ALWAYS = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "description": "Unique within ce_source: stream, key, epoch and version."},
    "ce_source": {"type": "string", "description": "/tournee/{instance}/{service}"},
    "ce_type": {"type": "string"},
    "ce_subject": {"type": "string", "description": "The record's key: the thing whose state this is."},
    "ce_time": {"type": "string", "format": "date-time"},
    "ce_epoch": {"type": "string", "pattern": r"^\d+$", "description": "Rises when a backup is restored."},
    "ce_version": {
        "type": "string",
        "pattern": r"^\d+$",
        "description": "Rises with each change. State is what is newer by (epoch, version).",
    },
}
_PARTITION_KEY = {
    "ce_partitionkey": {
        "type": "string",
        "description": "What decides the partition: crc32 of it, modulo the partitions. On Kafka only.",
    }
}
_SIGNED = {
    "ce_keyid": {"type": "string", "description": "Which of the instance's keys signed."},
    "signature": {
        "type": "string",
        "contentEncoding": "base64",
        "description": "Ed25519 over the stream's name, all other ce_ headers and the value.",
    },
}
_DESCRIPTION = """\
Every stream of a Tournée instance, and the four that leave it for the national view (`federated.*`, signed).

A record is the whole current state of the thing that its key names (event-carried state transfer), a record
without a value its end (a tombstone). Streams are compacted: whoever reads one from the start knows the
current state. The envelope is CloudEvents 1.0 in binary content mode. Delivery is at least once and in order
within a partition.

The addresses are those on Apache Kafka; on the embedded PostgreSQL log a stream inside an instance has no
instance in its name."""


@cache
def document() -> Json:
    """The document, as JSON's own types."""
    streams = [*topics.ALL, *topics.federated(_INSTANCE).values()]
    schemas: Json = {}
    for topic in streams:
        _add_schema(schemas, topic.logical)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tournée",
            "version": "1",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.logical: _channel(topic) for topic in streams},
        "operations": {name: operation for topic in streams for name, operation in _operations(topic)},
        "components": {
            "messages": {
                f"{topic.logical}.{kind}": _message(topic, kind)
                for topic in streams
                for kind in ("state", "erased")
            },
            "schemas": dict(sorted(schemas.items())),
        },
    }


def as_bytes() -> bytes:
    """The document as it is served."""
    return orjson.dumps(document())


def _channel(topic: Topic) -> Json:
    federated = topic.instance is not None
    return {
        "address": topic.name if federated else f"{_INSTANCE}.{topic.name}",
        "description": f"Written by {topic.writer}; read by {', '.join(topic.readers)}.",
        "parameters": {"instance": {"description": "The name of the instance (INSTANCE)."}},
        "messages": {
            kind: {"$ref": f"#/components/messages/{topic.logical}.{kind}"} for kind in ("state", "erased")
        },
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact"],
                    "delete.retention.ms": round(topic.tombstone_retention.total_seconds() * 1000),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> list[tuple[str, Json]]:
    channel = {"$ref": f"#/channels/{topic.logical}"}
    operations = [(f"{topic.writer}.writes.{topic.logical}", {"action": "send", "channel": channel})]
    for reader in topic.readers:
        operations.append((f"{reader}.reads.{topic.logical}", {"action": "receive", "channel": channel}))
    return operations


def _message(topic: Topic, kind: str) -> Json:
    erased = kind == "erased"
    headers = _ALWAYS | {"ce_type": {"type": "string", "const": f"tournee.{topic.logical}.{kind}"}}
    if not erased:
        headers |= {
            "ce_dataschema": {"type": "string", "const": f"/schemas/{topic.logical}.json"},
            "content-type": {"type": "string", "const": "application/json"},
        }
    if topic.instance is not None:
        headers |= _SIGNED
    return {
        "name": f"tournee.{topic.logical}.{kind}",
        "title": f"{topic.logical}: {'gone' if erased else 'the current state'}",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": sorted(headers),
            "properties": headers | _PARTITION_KEY,
        },
        "payload": {"type": "null"} if erased else {"$ref": _REFERENCE + topic.logical},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }


def _add_schema(schemas: Json, stream: str) -> None:
    """The payload's schema and each of its parts beside it, since `$defs` end at a document's border."""
    schema = BY_STREAM[stream].model_json_schema()
    for name, definition in schema.pop("$defs", {}).items():
        schemas[f"{stream}.{name}"] = _adapted(definition, stream)
    schemas[stream] = _adapted(schema, stream)


def _adapted(schema: Any, stream: str) -> Any:
    """References that hold in this document. AsyncAPI's discriminator is another than OpenAPI's: none."""
    if isinstance(schema, list):
        return [_adapted(item, stream) for item in schema]
    if not isinstance(schema, dict):
        return schema
    adapted = {}
    for name, value in schema.items():
        if name == "$ref":
            adapted[name] = f"{_REFERENCE}{stream}.{value.rpartition('/')[2]}"
        elif name != "discriminator" or not isinstance(value, dict) or "propertyName" not in value:
            adapted[name] = _adapted(value, stream)
    return adapted


def published() -> Json:
    """The document in the repository."""
    kept: Json = json.loads(PUBLISHED.read_text("utf-8"))
    return kept


def publish() -> None:
    PUBLISHED.write_text(json.dumps(document(), ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    publish()
