"""A whole instance as its operator runs it: a process that can be stopped, killed and restarted."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from deploy.postgres import server_url
from libs.database import database_name, in_database
from tests.waiting import eventually

ADMIN_TOKEN = "an-admin-token-for-the-flows"
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that nobody uses just now; the instance keeps it over its restarts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class RunningInstance:
    """`python -m deploy.local` on a folder of its own."""

    program: Sequence[str] = ("deploy.local",)

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "DEMO": "0",
        } | environment
        self.client = httpx.AsyncClient(
            base_url=self.base_url, timeout=60, limits=httpx.Limits(max_connections=200)
        )
        self.staff = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until every service is ready."""
        self._process = self._launch()
        await eventually(self._is_ready)

    def _launch(self) -> subprocess.Popen[bytes]:
        with (self.data_dir.parent / f"{self.data_dir.name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self.program],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait()

    def kill(self) -> None:
        """Kill -9 the runner and everything that it started, PostgreSQL too."""
        assert self._process is not None
        _kill_tree(self._process.pid)
        self._process.wait()

    async def close(self) -> None:
        await self.client.aclose()
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def log(self) -> str:
        """What it printed."""
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text("utf-8", "replace")

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            return (await self.client.get("/health")).status_code == 200
        except httpx.TransportError:
            return False

    # What its users do.

    async def post(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        answer = await self.client.post(path, json=body, headers=self.staff | headers)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def venue(self, query: str = "Monique-Corriveau") -> dict[str, Any]:
        answer = await self.client.get("/api/events/v1/venues", params={"q": query})
        assert answer.json()["items"], answer.text
        return dict(answer.json()["items"][0])

    async def published(self, **changes: Any) -> dict[str, Any]:
        """A session on the public calendar that already takes registrations."""
        body = {
            "title": "Le courriel, pas à pas",
            "stream": "public",
            "theme": "courriel",
            "level": "beginner",
            "language": "fr",
            "modality": "on_site",
            "starts_at": "2027-02-03T13:30",
            "ends_at": "2027-02-03T15:30",
            "timezone": "America/Toronto",
            "capacity": 12,
            "registration_modes": ["web", "phone"],
        } | changes
        if "venue_id" not in body and body["modality"] != "online":
            body["venue_id"] = (await self.venue())["id"]
        session = await self.post("/api/events/v1/sessions", body)
        session = await self.post(f"/api/events/v1/sessions/{session['id']}/publish", {})

        await self.taking_registrations(session["id"])
        return session

    async def taking_registrations(self, session_id: str, *, taken: int = 0) -> None:
        """Wait until the session takes registrations, the public sees that `taken` seats are, and the
        coordinator that as many people would be told of a change."""

        async def seen() -> bool:
            seats = await self.client.get(f"/api/registrations/v1/sessions/{session_id}/seats")
            staff = await self.client.get(f"/api/events/v1/sessions/{session_id}", headers=self.staff)
            told = sum((staff.json()["reach"] or {}).values())
            return seats.status_code == 200 and staff.json()["seats"]["confirmed"] >= taken and told >= taken

        await eventually(seen)

    async def register(self, session_id: str, name: str, **changes: Any) -> dict[str, Any]:
        key = changes.pop("key", secrets.token_hex(8))
        body = {"channel": "web", "name": name, "contact": {"email": _address(name)}} | changes
        return await self.post(
            f"/api/registrations/v1/sessions/{session_id}/registrations", body, **{"Idempotency-Key": key}
        )

    async def act(self, registration: dict[str, Any], action: str) -> dict[str, Any]:
        """`cancel`, `accept` or `decline`, as the person."""
        path = f"/api/registrations/v1/registrations/{registration['id']}"
        headers = {"Authorization": f"Bearer {registration['manage_token']}"}
        if action == "cancel":
            answer = await self.client.delete(path, headers=headers)
        else:
            answer = await self.client.post(f"{path}/{action}", headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def show(self, registration: dict[str, Any]) -> dict[str, Any]:
        path = f"/api/registrations/v1/registrations/{registration['id']}"
        return dict((await self.client.get(path, headers=self.staff)).json())

    async def public(self, session_id: str) -> dict[str, Any]:
        """The session as anybody sees it in the API."""
        return dict((await self.client.get(f"/api/events/v1/sessions/{session_id}")).json())

    async def mails(self, to: str = "") -> list[EmailMessage]:
        """The mails caught so far, oldest first, those to one person only if a name is given."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
            page = (await self.client.get("/boite-envoi.json", params=query, headers=self.staff)).json()
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        wanted = [item for item in found if not to or _address(to) in str(item["to"])]
        return [await self._mail(item["id"]) for item in reversed(wanted)]

    async def mails_to(self, name: str, count: int) -> list[EmailMessage]:
        """The first `count` mails to somebody, once they have arrived."""

        async def arrived() -> list[EmailMessage]:
            mails = await self.mails(name)
            return mails if len(mails) >= count else []

        mails: list[EmailMessage] = await eventually(arrived)
        return mails

    async def _mail(self, id_: str) -> EmailMessage:
        raw = (await self.client.get(f"/boite-envoi/{id_}.eml", headers=self.staff)).content
        mail = message_from_bytes(raw, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        return mail

    async def deliveries(self, registration: dict[str, Any]) -> list[dict[str, Any]]:
        """What was or will be sent to somebody, as operators see it."""
        answer = await self.client.get(
            "/api/notifications/v1/deliveries",
            params={"registration_id": registration["id"]},
            headers=self.staff,
        )
        assert answer.is_success, answer.text
        return list(answer.json()["items"])

    async def shift_clock(self, service: str, seconds: float) -> None:
        """Move the decision clock of one service, as only the database's administrator can."""
        url = in_database(server_url(self.data_dir), database_name("demo", service))
        admin = await asyncpg.connect(url)
        try:
            await admin.execute("update clock.shift set by = by + make_interval(secs => $1)", seconds)
        finally:
            await admin.close()

    async def settled(self, *figures: str) -> None:
        """Wait until no service has anything left: to read (`lag`), to send (`queued`), to say (`untold`)."""

        async def quiet() -> bool:
            services = (await self.client.get("/health")).json()["services"]
            names = figures or ("lag", "queued", "untold")
            return all(service.get(name, 0) == 0 for service in services.values() for name in names)

        await eventually(quiet)


def _address(name: str) -> str:
    bare = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return f"{bare.replace(' ', '.')}@example.org"


def calendar_part(mail: EmailMessage) -> dict[str, str]:
    """The properties of a mail's inline calendar entry, read by hand: independent of what wrote them.

    METHOD stands under its own name beside the VEVENT's properties, whose parameters are left out.
    """
    part = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    lines = raw.decode("utf-8").replace("\r\n ", "").split("\r\n")
    found: dict[str, str] = {}
    inside = ""
    for line in lines:
        name, _, value = line.partition(":")
        name = name.partition(";")[0]
        if name == "BEGIN":
            inside = value
        elif inside == "VEVENT" or name == "METHOD":
            found.setdefault(name, value)
    assert part.get_param("method") == found["METHOD"]
    return found


def text_of(mail: EmailMessage) -> str:
    """The plain-text part."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def _kill_tree(pid: int) -> None:
    """Stop the parent first, so that it can't react to the death of its children, then kill them all."""
    os.kill(pid, signal.SIGSTOP)
    for child in _children(pid):
        _kill_tree(child)
    os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
