"""Figures for Prometheus: requests by route template and status, loops, parked messages, lag."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds at which the buckets of the times to answer end."""


class Metrics:
    """One service's figures, in their own registry; every one is labelled with the service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self._requests = _Requests(service)
        self.registry.register(self._requests)
        self._health = Gauge(
            "tournee_health", "What /health says, as numbers.", ["service", "name"], registry=self.registry
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is a template, never an address with an id in it."""
        self._requests.observe(method if method in _METHODS else "other", route, status, seconds)

    def set_health(self, report: Mapping[str, object]) -> None:
        """Keep the numbers (and yes/no) of a health report as gauges."""
        for name, value in report.items():
            if isinstance(value, (bool, int, float)):
                self._health.labels(self.service, name).set(value)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Times:
    """How long some requests took: one count per bucket, the last for whatever took longer."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class _Requests(Collector):
    """Counts requests in plain numbers, and makes them Prometheus's when it asks.

    One event loop counts and is asked, so that no lock is needed: prometheus_client takes three for each
    request, which is a good part of what a short answer costs.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self._times: dict[tuple[str, str, int], _Times] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        times = self._times.get((method, route, status))
        if times is None:
            times = self._times[method, route, status] = _Times()
        times.counts[bisect_left(BOUNDS, seconds)] += 1
        times.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        labels = ["service", "method", "route"]
        requests = CounterMetricFamily("tournee_requests", "Requests answered.", labels=[*labels, "status"])
        seconds = HistogramMetricFamily("tournee_request_seconds", "Time to answer a request.", labels=labels)
        together: dict[tuple[str, str], _Times] = {}
        for (method, route, status), times in self._times.items():
            requests.add_metric([self.service, method, route, str(status)], sum(times.counts))
            whole = together.setdefault((method, route), _Times())
            whole.counts = [a + b for a, b in zip(whole.counts, times.counts, strict=True)]
            whole.seconds += times.seconds
        for (method, route), times in together.items():
            seconds.add_metric([self.service, method, route], _cumulative(times.counts), times.seconds)
        yield requests
        yield seconds


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    """Prometheus's buckets: how many took up to each bound."""
    bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(counts), strict=True))


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
