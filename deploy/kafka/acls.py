"""Who may do what on a Kafka with an authorizer, per service and per instance.

`python -m deploy.kafka.acls` prints what INSTANCE needs as `kafka-acls.sh` commands; `--apply` gives it on
the Kafka of BUS_URL, as that URL's account. `--national` is for the national Kafka: what the instance's
bridge or MirrorMaker 2 may do there, and what the national service may read.

Accounts are called `{instance}.{service}` on an instance's own Kafka; on the national one an instance is
one account, `{instance}`, and the reader is `national`.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka.acl_protocol import CreateAclsRequest, Grant
from libs.messaging import topics
from libs.messaging.kafka.address import read_address
from libs.messaging.kafka.names import Names
from libs.settings import BadSettings, read_settings

NATIONAL = "national"


def of_instance(instance: str) -> list[Grant]:
    """A stream's writer appends, its readers consume in their own groups, nobody else does anything.

    Everybody may see how the instance's topics are made: each service checks that at its start.
    """
    names = Names(instance, "")
    streams = [*topics.ALL, *topics.federated(instance).values()]
    services = sorted({service for topic in streams for service in (topic.writer, *topic.readers)})
    grants: list[Grant] = []
    for topic in streams:
        name = names.topic(topic)
        grants += _grants(_account(instance, topic.writer), "topic", "literal", name, "Write", "Describe")
        for reader in topic.readers:
            grants += _grants(_account(instance, reader), "topic", "literal", name, "Read", "Describe")
    for service in services:
        account = _account(instance, service)
        grants += _grants(account, "group", "prefixed", f"{instance}.{service}.", "Read", "Describe")
        grants += _grants(account, "topic", "prefixed", f"{instance}.", "Describe", "DescribeConfigs")
    return sorted(set(grants))


def at_national(instance: str) -> list[Grant]:
    """On the national Kafka: the instance appends to its own streams, the national service reads them.

    MirrorMaker 2 keeps where it stands in topics and groups there that bear the instance's name.
    """
    account = f"User:{instance}"
    theirs = f"{instance}.{topics.FEDERATED_PREFIX}"
    grants = _grants(account, "topic", "prefixed", theirs, "Write", "Create", "Describe", "DescribeConfigs")
    for kept in ("offsets", "configs", "status"):
        grants += _grants(account, "topic", "literal", f"mm2-{kept}.{instance}.internal", "All")
    grants += _grants(account, "group", "literal", f"{instance}-mm2", "Read", "Describe")
    reader = f"User:{NATIONAL}"
    grants += _grants(reader, "topic", "prefixed", theirs, "Read", "Describe")
    grants += _grants(reader, "group", "prefixed", f"{NATIONAL}.{NATIONAL}.", "Read", "Describe")
    return sorted(set(grants))


async def apply(url: str, grants: Sequence[Grant]) -> None:
    """Give them all, as the account of `url`; raises a KafkaError when it may not."""
    admin = AIOKafkaAdminClient(client_id="tournee.acls", **read_address(url).options())
    await admin.start()
    try:
        response = await admin._send_to_controller(CreateAclsRequest(list(grants)))
        for code, _message in response.results:
            if code:
                raise errors.for_code(code)()
    finally:
        await admin.close()


def commands(grants: Sequence[Grant]) -> Iterator[str]:
    """The same for Kafka's own tool; BOOTSTRAP and ADMIN (a properties file) are the shell's variables."""
    for principal, operation, resource, pattern, name in grants:
        yield (
            'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN" --add'
            f" --allow-principal {principal} --operation {operation}"
            f" --{resource} {name} --resource-pattern-type {pattern}"
        )


def _account(instance: str, service: str) -> str:
    return f"User:{instance}.{service}"


def _grants(principal: str, resource: str, pattern: str, name: str, *operations: str) -> list[Grant]:
    return [Grant(principal, operation, resource, pattern, name) for operation in operations]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka.acls")
    parser.add_argument("--apply", action="store_true", help="give them on the Kafka of BUS_URL")
    parser.add_argument("--national", action="store_true", help="what INSTANCE needs on the national Kafka")
    given = parser.parse_args()
    try:
        settings = read_settings()
        grants = at_national(settings.instance) if given.national else of_instance(settings.instance)
        if not given.apply:
            print("\n".join(commands(grants)))
            return 0
        asyncio.run(apply(settings.bus_url or "", grants))
        print(f"{len(grants)} permissions données.")
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"BUS_URL : {error}.", file=sys.stderr)
        return 2
    except errors.KafkaError as error:
        print(f"BUS_URL : Kafka n’a pas donné les permissions ({error}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
