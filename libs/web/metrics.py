"""Figures for Prometheus: requests by route template and status, loops, parked messages, lag."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One service's figures, in their own registry; every one is labelled with the service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tournee_requests", "Requests answered.", ["service", "method", "route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "tournee_request_seconds", "Time to answer a request.", ["service", "method", "route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )  # fmt: skip
        self._health = Gauge(
            "tournee_health", "What /health says, as numbers.", ["service", "name"], registry=self.registry
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is a template, never an address with an id in it."""
        method = method if method in _METHODS else "other"
        self._requests.labels(self.service, method, route, str(status)).inc()
        self._seconds.labels(self.service, method, route).observe(seconds)

    def set_health(self, report: Mapping[str, object]) -> None:
        """Keep the numbers (and yes/no) of a health report as gauges."""
        for name, value in report.items():
            if isinstance(value, (bool, int, float)):
                self._health.labels(self.service, name).set(value)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def exposition(registries: Iterable[CollectorRegistry]) -> bytes:
    """The figures of several services as one page, each family announced once."""
    together = CollectorRegistry()
    together.register(_Together(list(registries)))
    return generate_latest(together)


class _Together(Collector):
    def __init__(self, registries: list[CollectorRegistry]) -> None:
        self.registries = registries

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for registry in self.registries:
            for family in registry.collect():
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                kept.samples.extend(family.samples)
        yield from families.values()
