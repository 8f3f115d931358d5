"""What all replicas of all services say together: `/health` and `/metrics` of the whole instance."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from libs.web.metrics import CONTENT_TYPE

_FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Overview:
    """Asks each of `replicas`: the service's name and where this replica of it answers (`host:port`)."""

    client: httpx.AsyncClient
    replicas: Sequence[tuple[str, str]]

    async def health(self, _request: Request) -> Response:
        """Ready when every service has a replica that is.

        As `/health` of one process, where a ready replica speaks for its service; `replicas` says which are.
        """
        said = await asyncio.gather(*(self._report(name, address) for name, address in self.replicas))
        services: dict[str, dict[str, Any]] = {}
        for report in said:
            name = report["service"]
            if name not in services or report["ready"] > services[name]["ready"]:
                services[name] = report
        ready = bool(services) and all(report["ready"] for report in services.values())
        replicas = [
            {"service": name, "address": address, "ready": report["ready"]}
            for (name, address), report in zip(self.replicas, said, strict=True)
        ]
        body = {"ready": ready, "services": services, "replicas": replicas}
        return JSONResponse(body, 200 if ready else 503, _FRESH)

    async def metrics(self, _request: Request) -> Response:
        """The figures of all replicas, each labelled with the replica that it comes from."""
        addresses = [address for _, address in self.replicas]
        said = await asyncio.gather(*map(self._figures, addresses))
        together = CollectorRegistry()
        together.register(_Labelled(dict(zip(addresses, said, strict=True))))
        return Response(generate_latest(together), headers={"Content-Type": CONTENT_TYPE} | _FRESH)

    async def _report(self, name: str, address: str) -> dict[str, Any]:
        try:
            report: dict[str, Any] = (await self.client.get(f"http://{address}/health/{name}")).json()
        except (httpx.HTTPError, ValueError):
            return {"service": name, "ready": False}
        return report

    async def _figures(self, address: str) -> str:
        try:
            answer = await self.client.get(f"http://{address}/metrics")
        except httpx.HTTPError:
            return ""
        return answer.text if answer.status_code == 200 else ""


@dataclass(frozen=True, eq=False)
class _Labelled(Collector):
    pages: dict[str, str]

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for replica, page in self.pages.items():
            for family in text_string_to_metric_families(page):
                whole = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    whole.add_sample(sample.name, sample.labels | {"replica": replica}, sample.value)
        up = Metric("tournee_replica_up", "Whether the replica answered.", "gauge")
        for replica, page in self.pages.items():
            up.add_sample(up.name, {"replica": replica}, float(bool(page)))
        yield up
        yield from families.values()
