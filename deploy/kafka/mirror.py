"""MirrorMaker 2: carries an instance's federated streams from its own Kafka to the national one.

`python -m deploy.kafka.mirror` prints its configuration for INSTANCE, BUS_URL and NATIONAL_BUS_URL.
"""

import os
import sys
from pathlib import Path

from deploy.kafka import programs
from libs.messaging.kafka.address import KafkaAddress, read_address
from libs.settings import BadSettings, read_settings

_TARGET = "national"


def properties(instance: str, source_url: str, target_url: str, *, replication: int = 3) -> str:
    """The configuration: only the streams that may leave, under the names that they have, byte by byte."""
    flow = f"{instance}->{_TARGET}"
    settings = {
        "clusters": f"{instance}, {_TARGET}",
        **_client(instance, read_address(source_url)),
        **_client(_TARGET, read_address(target_url)),
        f"{flow}.enabled": "true",
        f"{_TARGET}->{instance}.enabled": "false",
        f"{flow}.topics": rf"{instance}\\.federated\\..*",
        # Signatures cover names and keys: nothing may be renamed on the way.
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        "sync.topic.acls.enabled": "false",
        "sync.group.offsets.enabled": "false",
        "emit.heartbeats.enabled": "false",
        "emit.checkpoints.enabled": "false",
        f"{flow}.emit.heartbeats.enabled": "false",
        f"{flow}.emit.checkpoints.enabled": "false",
        "refresh.topics.interval.seconds": "10",
        "tasks.max": "1",
        "replication.factor": replication,
        "offset-syncs.topic.replication.factor": replication,
        # Switched off, and still made by the connector at its start.
        "heartbeats.topic.replication.factor": replication,
        "config.storage.replication.factor": replication,
        "offset.storage.replication.factor": replication,
        "status.storage.replication.factor": replication,
        f"{_TARGET}.producer.acks": "all",
        f"{_TARGET}.producer.enable.idempotence": "true",
        f"{instance}.consumer.auto.offset.reset": "earliest",
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


class MirrorMaker:
    """MirrorMaker 2 as our own child, in `folder`; where it stands it keeps on the national Kafka."""

    def __init__(self, folder: Path, configuration: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "mirror.properties"
        # It holds passwords.
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(configuration)
        self._log = folder / "mirror.log"
        self.running: programs.Running | None = None

    def start(self) -> None:
        """Start it and wait until it has begun; what it copies arrives some seconds later."""
        self.running = programs.Running(
            programs.Program(
                "org.apache.kafka.connect.mirror.MirrorMaker",
                [str(self._file)],
                self._log,
                "Kafka MirrorMaker started",
                heap_mb=384,
            )
        )
        self.running.wait_until_ready()

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()
            self.running = None

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running = None


def _client(name: str, address: KafkaAddress) -> dict[str, str]:
    settings = {
        f"{name}.bootstrap.servers": ",".join(address.servers),
        f"{name}.security.protocol": address.security.upper(),
    }
    if address.user is not None:
        module = "plain.PlainLoginModule" if address.mechanism == "plain" else "scram.ScramLoginModule"
        login = f'required username="{address.user}" password="{address.password}";'
        settings |= {
            f"{name}.sasl.mechanism": address.mechanism.upper(),
            f"{name}.sasl.jaas.config": f"org.apache.kafka.common.security.{module} {login}",
        }
    if address.ca is not None:
        settings |= {f"{name}.ssl.truststore.type": "PEM", f"{name}.ssl.truststore.location": address.ca}
    return settings


def main() -> int:
    try:
        settings = read_settings()
        source, target = settings.bus_url or "", os.environ.get("NATIONAL_BUS_URL", "")
        try:
            print(properties(settings.instance, source, target), end="")
        except ValueError as error:
            raise BadSettings(f"BUS_URL, NATIONAL_BUS_URL : {error}.") from error
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
