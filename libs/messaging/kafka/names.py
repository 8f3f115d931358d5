"""What streams and groups are called on a Kafka that several instances and services may share."""

from collections.abc import Iterable
from dataclasses import dataclass

from libs.messaging.topics import Topic


@dataclass(frozen=True, slots=True)
class Names:
    """The names as one service of one instance sees them.

    A stream inside an instance is `{instance}.{stream}`; a federated one has its instance in its name
    already and is called the same on every bus. Groups are the service's own: `{instance}.{service}.{group}`.
    """

    instance: str
    service: str

    def topic(self, topic: Topic) -> str:
        return topic.name if topic.instance is not None else f"{self.instance}.{topic.name}"

    def group(self, group: str) -> str:
        return f"{self.instance}.{self.service}.{group}"

    def streams(self, on_broker: Iterable[str]) -> list[str]:
        """The names of streams among the broker's topics: the instance's own, and the federated ones."""
        own = f"{self.instance}."
        found = []
        for name in on_broker:
            if ".federated." in name:
                found.append(name)
            elif name.startswith(own):
                found.append(name.removeprefix(own))
        return sorted(found)
