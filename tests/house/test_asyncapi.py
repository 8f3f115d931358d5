"""The AsyncAPI document in docs/ is that of the code, and whoever follows it finds everything."""

from collections.abc import Iterator
from typing import Any

import jsonschema

from libs.messaging import asyncapi, topics
from libs.messaging.contracts import BY_STREAM


def test_the_published_document_is_that_of_the_code() -> None:
    assert asyncapi.published() == asyncapi.document(), "run: python -m libs.messaging.asyncapi"


def test_every_stream_is_in_it_with_its_writer_and_its_readers() -> None:
    document = asyncapi.document()
    streams = [*topics.ALL, *topics.federated("{instance}").values()]
    assert set(document["channels"]) == set(BY_STREAM) == {topic.logical for topic in streams}
    for topic in streams:
        assert f"{topic.writer}.writes.{topic.logical}" in document["operations"]
        for reader in topic.readers:
            assert f"{reader}.reads.{topic.logical}" in document["operations"]


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()
    for reference in _references(document):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


def test_the_payloads_are_json_schemas() -> None:
    for schema in asyncapi.document()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
