"""Making the topics of an instance on a Kafka, or checking that they are what `topics` says."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import create_conn

from libs.messaging.kafka.address import KafkaAddress, read_address
from libs.messaging.kafka.failures import REFUSED, is_away
from libs.messaging.kafka.names import Names
from libs.messaging.topics import Topic

MARKS_PER_LAG = 4
"""A mark each quarter of the lag, a new segment each half: what is overtaken is gone within the whole."""
_REPLICAS = 3
_PATIENCE_SECONDS = 30.0


class CannotServe(Exception):
    """This Kafka can't carry the instance's streams; the text says why in French."""


async def provision_kafka(
    url: str, instance: str, topics: Sequence[Topic], *, replication: int | None = None
) -> None:
    """Create the topics that are missing and check the others.

    `replication` is the number of copies of each (default: 3, or as many as there are brokers). Raises
    `CannotServe` when a topic is other than it should be, or can't be created. Nothing is ever changed: the
    order of its keys would be lost with other partitions, and the rest was somebody's decision.
    """
    address = read_address(url)
    admin = AIOKafkaAdminClient(
        client_id=f"{instance}.provision", request_timeout_ms=10_000, **address.options()
    )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await _start(admin, address)
            brokers = len((await admin.describe_cluster())["brokers"])
            copies = replication or min(_REPLICAS, brokers)
            if copies > brokers:
                raise CannotServe(
                    f"il faudrait {copies} copies de chaque sujet (KAFKA_REPLICATION), mais il n’y a "
                    f"que {brokers} serveur{'s' if brokers > 1 else ''}"
                )
            names = Names(instance, "")
            wanted = {names.topic(topic): topic for topic in topics}
            await _create(admin, wanted, copies)
            await _check(admin, wanted, copies)
    except (errors.KafkaError, OSError, TimeoutError) as error:
        raise CannotServe(_reason(error)) from error
    finally:
        await admin.close()


def config_of(topic: Topic, copies: int) -> dict[str, str]:
    """How Kafka has to keep the stream, by the names of its settings."""
    half = _milliseconds(topic.compaction_lag / 2)
    return {
        "cleanup.policy": "compact",
        # What is in the segment being written isn't looked at, so both halves together make the lag.
        "segment.ms": half,
        "max.compaction.lag.ms": half,
        "delete.retention.ms": _milliseconds(topic.tombstone_retention),
        "min.insync.replicas": str(max(1, copies - 1)),
    }


def _milliseconds(duration: timedelta) -> str:
    return str(round(duration.total_seconds() * 1000))


async def _start(admin: AIOKafkaAdminClient, address: KafkaAddress) -> None:
    try:
        await admin.start()
    except errors.KafkaConnectionError:
        # The client tells its log alone why.
        for server in address.servers:
            host, _, port = server.rpartition(":")
            options = address.options()
            del options["bootstrap_servers"]
            connection = await create_conn(host.strip("[]"), int(port), **options)
            connection.close()
        raise


async def _create(admin: AIOKafkaAdminClient, wanted: Mapping[str, Topic], copies: int) -> None:
    present = set(await admin.list_topics())
    missing = [
        NewTopic(name, topic.partitions, copies, topic_configs=config_of(topic, copies))
        for name, topic in wanted.items()
        if name not in present
    ]
    if not missing:
        return
    response = (await admin.create_topics(missing)).to_object()
    for outcome in response["topic_errors"]:
        error = errors.for_code(outcome["error_code"])
        # Another process of the same instance may have been quicker.
        if error in (errors.NoError, errors.TopicAlreadyExistsError):
            continue
        if error in REFUSED:
            raise CannotServe(
                f"le sujet {outcome['topic']} manque et ce compte ne peut pas le créer; "
                "lancez python -m deploy.kafka.topics avec un compte qui le peut"
            )
        said = outcome.get("error_message") or error.__name__
        raise CannotServe(f"le sujet {outcome['topic']} n’a pas pu être créé ({said})")


async def _check(admin: AIOKafkaAdminClient, wanted: Mapping[str, Topic], copies: int) -> None:
    described: dict[str, Any] = {}
    # A broker hears of a new topic a moment after the controller has made it.
    while set(described) != set(wanted):
        for found in await admin.describe_topics(list(wanted)):
            if found["error_code"] == 0:
                described[found["topic"]] = found
            elif is_away(errors.for_code(found["error_code"])()):
                await asyncio.sleep(0.1)
            else:
                raise errors.for_code(found["error_code"])()
    kept = await _configs(admin, list(wanted))
    wrong = [
        f"le sujet {name} a {difference}"
        for name, topic in wanted.items()
        for difference in _differences(topic, copies, described[name], kept[name])
    ]
    if wrong:
        raise CannotServe("; ".join(wrong))


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(asked):
        for code, _message, _kind, name, entries in response.resources:
            if code:
                raise errors.for_code(code)()
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _differences(topic: Topic, copies: int, described: Any, config: Mapping[str, str]) -> Iterator[str]:
    partitions = described["partitions"]
    if len(partitions) != topic.partitions:
        yield f"{len(partitions)} partitions au lieu de {topic.partitions}"
    fewest = min((len(partition["replicas"]) for partition in partitions), default=0)
    if fewest != copies:
        yield f"{fewest} copie{'s' if fewest > 1 else ''} au lieu de {copies} (KAFKA_REPLICATION)"
    for setting, value in config_of(topic, copies).items():
        if config.get(setting) != value:
            yield f"{setting}={config.get(setting)} au lieu de {value}"


def _reason(error: Exception) -> str:
    if isinstance(error, errors.SaslAuthenticationFailed | errors.AuthenticationFailedError):
        return "Kafka refuse ce compte ou son secret"
    if isinstance(error, REFUSED):
        return f"Kafka ne permet pas à ce compte de voir les sujets de l’instance ({type(error).__name__})"
    return f"Kafka ne répond pas ({type(error).__name__})"
