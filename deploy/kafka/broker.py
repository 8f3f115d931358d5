"""A Kafka of one or three brokers on this machine's loopback, for tests and for trying things out.

`python -m deploy.kafka.broker FOLDER` runs one until Ctrl-C and says its BUS_URL.
"""

import argparse
import contextlib
import secrets
import signal
import socket
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from deploy.kafka import programs
from deploy.kafka.jars import NoKafka

_ADMIN = "admin"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may come in: SCRAM users with their passwords, an authorizer that refuses everything else.

    The administrator is one more user, `admin`, and may do everything. `certificate` is a PEM file with
    the server's key and its chain: with it, clients must speak TLS.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    certificate: Path | None = None

    @property
    def protocol(self) -> str:
        return "SASL_SSL" if self.certificate else "SASL_PLAINTEXT"


@dataclass
class Node:
    """One broker, which is a controller too; its data stay in `folder` when it stops."""

    number: int
    folder: Path
    port: int
    advertised: int
    """Where clients are told to come: another port when something stands between."""
    running: programs.Running | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.advertised}"

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"

    def start(self) -> None:
        """Start it without waiting; see `Cluster.start`."""
        program = programs.Program(
            "kafka.Kafka", [str(self.properties)], self.folder / "server.log", "Kafka Server started"
        )
        self.running = programs.Running(program)

    def wait_until_ready(self) -> None:
        assert self.running is not None
        self.running.wait_until_ready()

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()
            self.running = None

    def kill(self) -> None:
        """As if its machine had lost power."""
        if self.running is not None:
            self.running.kill()
            self.running = None


class Cluster:
    """One or more nodes in `folder`, formatted on first use; they keep their ports and data."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        *,
        guard: Guard | None = None,
        port: int | None = None,
        advertised: int | None = None,
        outside: int | None = None,
    ) -> None:
        """`outside`: the port by which others come to the first node; it has to lead to `outside_port`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.guard = guard
        self._outside = outside
        ports = _free_ports(2 * nodes + 1)
        self.outside_port = ports.pop()
        if port is not None:
            ports[0] = port
        self.nodes = [
            Node(n + 1, folder / f"node-{n + 1}", ports[n], advertised or ports[n]) for n in range(nodes)
        ]
        self._controllers = ports[nodes:]
        self._format()

    @property
    def bootstrap(self) -> str:
        """`host:port,…` of all nodes."""
        return ",".join(node.address for node in self.nodes)

    def url(self, user: str | None = None) -> str:
        """The BUS_URL of `user` (default: the administrator)."""
        if self.guard is None:
            return f"kafka://{self.bootstrap}"
        name = user or _ADMIN
        password = self.guard.admin_password if name == _ADMIN else self.guard.users[name]
        url = f"kafka://{quote(name)}:{quote(password, safe='')}@{self.bootstrap}"
        ca = f"&ca={self.guard.certificate.with_name('ca.pem')}" if self.guard.certificate else ""
        return f"{url}?security={self.guard.protocol.lower()}{ca}"

    def start(self) -> None:
        """Start all nodes that don't run, and wait until they answer."""
        for node in self.nodes:
            if node.running is None:
                node.start()
        for node in self.nodes:
            node.wait_until_ready()

    def stop(self) -> None:
        """Stop all nodes cleanly, beginning with the last."""
        for node in reversed(self.nodes):
            if node.running is not None and node.running.alive and len(self.nodes) > 1:
                # The last ones have no quorum to hand over to and would wait for it.
                node.kill()
            node.stop()

    def client_properties(self) -> Path:
        """A file with which Kafka's own tools come in as the administrator."""
        path = self._folder / "client.properties"
        path.write_text(_lines(_client(self.guard)))
        return path

    def _format(self) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for node in self.nodes:
            if node.folder.exists():
                continue
            node.folder.mkdir()
            node.properties.write_text(_lines(self._server(node)))
            # In one word: an id may begin with a dash.
            arguments = ["format", f"--cluster-id={cluster_id}", f"--config={node.properties}"]
            if self.guard is not None:
                everybody = {_ADMIN: self.guard.admin_password, **self.guard.users}
                for name, password in everybody.items():
                    arguments += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
            programs.run("kafka.tools.StorageTool", arguments)

    def _server(self, node: Node) -> dict[str, object]:
        replicas = min(3, len(self.nodes))
        voters = (f"{n.number}@127.0.0.1:{p}" for n, p in zip(self.nodes, self._controllers, strict=True))
        controller = self._controllers[node.number - 1]
        listening = [f"CLIENT://127.0.0.1:{node.port}", f"CONTROLLER://127.0.0.1:{controller}"]
        advertised = [f"CLIENT://{node.address}"]
        if self._outside is not None and node.number == 1:
            listening.append(f"OUTSIDE://127.0.0.1:{self.outside_port}")
            advertised.append(f"OUTSIDE://127.0.0.1:{self._outside}")
        return {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": ",".join(voters),
            "listeners": ",".join(listening),
            "advertised.listeners": ",".join(advertised),
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": node.folder / "data",
            "auto.create.topics.enable": "false",
            "unclean.leader.election.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": max(1, replicas - 1),
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": max(1, replicas - 1),
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": max(1, replicas - 1),
            # A small machine, and nobody who wants to wait: dead brokers and groups are found out soon.
            "num.network.threads": 2,
            "num.io.threads": 3,
            "background.threads": 2,
            "log.cleaner.backoff.ms": 200,
            "log.cleaner.dedupe.buffer.size": 16_000_000,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "broker.session.timeout.ms": 4000,
            "broker.heartbeat.interval.ms": 500,
            **_guarding(self.guard),
        }


def _guarding(guard: Guard | None) -> dict[str, object]:
    """Who may come in, and as whom the nodes talk to each other."""
    if guard is None:
        return {"listener.security.protocol.map": "CLIENT:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"}
    login = f'required username="{_ADMIN}" password="{guard.admin_password}"'
    protocols = f"CLIENT:{guard.protocol},OUTSIDE:{guard.protocol},CONTROLLER:SASL_PLAINTEXT"
    settings: dict[str, object] = {
        "listener.security.protocol.map": protocols,
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": f"{_SCRAM} {login};",
        # SCRAM's users are in the metadata that the controllers keep: they know each other otherwise.
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{_PLAIN} {login} user_{_ADMIN}="{guard.admin_password}";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{_ADMIN}",
        "allow.everyone.if.no.acl.found": "false",
    }
    if guard.certificate is not None:
        settings |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": guard.certificate,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": guard.certificate.with_name("ca.pem"),
        }
    return settings


def _client(guard: Guard | None) -> dict[str, object]:
    if guard is None:
        return {"security.protocol": "PLAINTEXT"}
    login = f'required username="{_ADMIN}" password="{guard.admin_password}"'
    settings: dict[str, object] = {
        "security.protocol": guard.protocol,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f"{_SCRAM} {login};",
    }
    if guard.certificate is not None:
        settings |= {
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": guard.certificate.with_name("ca.pem"),
        }
    return settings


def _lines(properties: Mapping[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _free_ports(count: int) -> list[int]:
    """Different ports that are free now, below those that the kernel lends to outgoing connections."""
    found: list[int] = []
    chance = secrets.SystemRandom()
    for port in chance.sample(range(20_000, 32_000), 12_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


@contextlib.contextmanager
def running(folder: Path, nodes: int = 1, *, guard: Guard | None = None) -> Iterator[Cluster]:
    """A cluster that answers during the block."""
    cluster = Cluster(folder, nodes, guard=guard)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka.broker")
    parser.add_argument("folder", type=Path, help="where its data go; made when it is missing")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--port", type=int, help="of the first node; default: any free one")
    given = parser.parse_args(arguments)
    cluster = Cluster(given.folder.resolve(), given.nodes, port=given.port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cluster.start()
        print(f"Kafka répond. BUS_URL={cluster.url()}", flush=True)
        signal.pause()
    except (NoKafka, programs.CannotStart) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
