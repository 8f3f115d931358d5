"""The files for containers agree with the code: which programs there are, what they are told, who answers."""

import json
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml

from deploy import proxy
from deploy.dispatch import CATCHER, OPERATIONS, PLACES, service_at
from deploy.hosting import SERVICES
from libs.settings import Settings
from tests.deploy.process import ROOT

FIELDS = {name.upper() for name in Settings.model_fields}
THE_PROXYS_OWN = {"SITE", "BIND"}
_VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def commands(compose: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The containers of our own image, and what they run."""
    for name, container in compose["services"].items():
        if container["image"] == "tournee":
            yield name, container["command"]


def test_every_service_has_two_replicas(compose: dict[str, Any]) -> None:
    started = {name: command for name, command in commands(compose) if "deploy.service" in command}
    assert started == {
        f"{service}-{number}": ["python", "-m", "deploy.service", service]
        for service in SERVICES
        for number in (1, 2)
    }


def test_every_command_is_a_module_of_ours(compose: dict[str, Any]) -> None:
    for _, command in commands(compose):
        assert command[:2] == ["python", "-m"]
        assert (ROOT / f"{command[2].replace('.', '/')}.py").is_file()


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    for name, _ in commands(compose):
        assert compose["services"][name]["environment"].keys() <= FIELDS
    asked = {name for name, _ in _VARIABLE.findall((ROOT / "docker-compose.yml").read_text())}
    assert asked <= FIELDS | THE_PROXYS_OWN | {"POSTGRES_PASSWORD"}


def test_secrets_come_from_outside_and_are_required() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    required = {name for name, how in _VARIABLE.findall(text) if how == ":?"}
    assert {"SECRET_KEY", "ADMIN_TOKEN", "POSTGRES_PASSWORD"} <= required
    assert "${}" not in text


def test_only_preparing_has_the_administrators_rights(compose: dict[str, Any]) -> None:
    with_password = {
        name
        for name, container in compose["services"].items()
        if "POSTGRES_PASSWORD" in json.dumps(container.get("environment", {}))
    }
    assert with_password == {"prepare", "postgres"}


def test_services_start_once_everything_is_prepared(compose: dict[str, Any]) -> None:
    for name, command in commands(compose):
        if "deploy.prepare" not in command:
            needs = compose["services"][name]["depends_on"]
            assert needs["prepare"] == {"condition": "service_completed_successfully"}


def test_the_overview_knows_every_replica(compose: dict[str, Any]) -> None:
    told = compose["services"]["operations"]["environment"]["REPLICAS"]
    expected = {f"{service}={service}-{number}:8000" for service in SERVICES for number in (1, 2)}
    assert set(told.split()) == expected
    assert set(Settings(replicas=told, smtp_url="smtp://mail").replicas) == expected


def test_only_the_proxy_is_reached_from_outside(compose: dict[str, Any]) -> None:
    assert {name for name, container in compose["services"].items() if "ports" in container} == {"proxy"}
    assert compose["networks"]["inside"] == {"internal": True}


def test_the_image_holds_what_its_program_needs_and_nothing_else() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE))
    admitted = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == admitted
    assert all((ROOT / name).exists() for name in copied)
    last_stage = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root)", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage
    assert not re.search(r"apt|gcc|build-essential", last_stage)


class Routing:
    """The Caddyfile as Caddy itself understands it, with the replicas of docker-compose.yml."""

    def __init__(self) -> None:
        subprocess.run(["bash", "deploy/install.sh", "proxy"], check=True, cwd=ROOT)
        program = proxy.command()[0]
        command = [program, "adapt", "--config", str(proxy.CADDYFILE), "--adapter", "caddyfile"]
        done = subprocess.run(command, capture_output=True, check=True, env={})
        (server,) = json.loads(done.stdout)["apps"]["http"]["servers"].values()
        self.routes = server["routes"][0]["handle"][0]["routes"]

    def answering(self, path: str) -> dict[str, Any]:
        """The proxy handler for `path`."""
        route = next(route for route in self.routes if self._fits(route, path))
        handler: dict[str, Any] = route["handle"][0]["routes"][0]["handle"][0]
        return handler

    def _fits(self, route: dict[str, Any], path: str) -> bool:
        return "match" not in route or any(
            self._has(match["path"], path)
            and not any(self._has(no["path"], path) for no in match.get("not", []))
            for match in route["match"]
        )

    def _has(self, patterns: list[str], path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in patterns)

    def service(self, path: str) -> str:
        host = self.answering(path)["upstreams"][0]["dial"].partition(":")[0]
        return str(host.partition("-")[0])


@pytest.fixture(scope="module")
def routing() -> Routing:
    return Routing()


def test_the_proxy_shares_addresses_out_as_the_one_process_runner_does(routing: Routing) -> None:
    paths = {"/", "/seances/1", "/inscriptions", "/static/main.css", "/nationale", "/guichet/appelsx"}
    paths |= {path for place in PLACES for path in (place, f"{place}/", f"{place}/1", f"{place}x")}
    paths |= {path for name in SERVICES for path in (f"/api/{name}/v1/x", f"/health/{name}")}
    for path in sorted(paths):
        expected = service_at(path)
        # One process has both.
        together = {CATCHER, OPERATIONS}
        assert routing.service(path) == (OPERATIONS if expected in together else expected), path


@pytest.mark.parametrize("service", SERVICES)
def test_the_proxy_knows_both_replicas_and_asks_how_they_are(routing: Routing, service: str) -> None:
    handler = routing.answering(f"/health/{service}")
    dials = [upstream["dial"] for upstream in handler["upstreams"]]
    assert dials == [f"{service}-1:8000", f"{service}-2:8000"]
    assert handler["health_checks"]["active"]["uri"] == f"/health/{service}"


def test_a_service_leaves_for_longer_than_the_proxy_looks_away(
    compose: dict[str, Any], routing: Routing
) -> None:
    looks_every = routing.answering("/")["health_checks"]["active"]["interval"] / 1e9
    for name, command in commands(compose):
        if "deploy.service" in command:
            assert float(compose["services"][name]["environment"]["DRAIN_SECONDS"]) > 2 * looks_every
            assert compose["services"][name]["stop_grace_period"] == "30s"
