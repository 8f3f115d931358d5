"""The gateway of docs/sms.md, run as documented beside a whole service."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn

from libs.messaging.contracts import ContactDetails
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.messaging.topics import REGISTRATIONS
from libs.settings import Settings
from libs.web.app import Service
from services.notifications.main import create
from tests.conftest import SECRET
from tests.notifications.conftest import Office
from tests.notifications.facts import Person
from tests.notifications.gateway import TOKEN
from tests.waiting import eventually

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sms.md"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def gateway(folder: Path, port: int, base_url: str) -> Iterator[Path]:
    """The documented program; gives the file of what it prints."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "gateway.py").write_text(program, encoding="utf-8")
    printed = folder / "printed"
    command = [sys.executable, "-I", "-X", "utf8", "gateway.py", str(port), base_url]
    with printed.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=subprocess.DEVNULL, env={"SMS_TOKEN": TOKEN}
        )
    try:
        yield printed
    finally:
        process.kill()
        process.wait()


async def test_the_documented_gateway_gets_the_messages_and_its_receipts_count(
    office: Office, settings: Settings, postgres_url: str, tmp_path: Path
) -> None:
    port, gateway_port = free_port(), free_port()
    mine = settings.model_copy(
        update={
            "sms_url": f"http://{TOKEN}@127.0.0.1:{gateway_port}/",
            "public_url": f"http://127.0.0.1:{port}",
        }
    )
    instance = f"t{office.database.url[-6:]}"
    await provision_bus(postgres_url, instance, SECRET, [REGISTRATIONS])
    writer = PostgresBus(bus_url(postgres_url, instance, "registrations", SECRET))
    bus = PostgresBus(bus_url(postgres_url, instance, "notifications", SECRET))
    app = create(Service("notifications", mine, office.database, bus))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws="none"))
    reached = Person(contact=ContactDetails(mobile="+14185550101")).after("confirmed")
    missed = Person(contact=ContactDetails(mobile="+14185550100")).after("confirmed")
    with gateway(tmp_path, gateway_port, mine.base_url) as printed:
        serving = asyncio.create_task(server.serve())
        try:
            await eventually(lambda: server.started)
            await writer.publish([person.message().message for person in (reached, missed)])
            await eventually(
                lambda: office.rows("select 1 from attempt where settled_at is not null having count(*) = 2")
            )
        finally:
            server.should_exit = True
            await serving
    assert "Vous avez une place." in printed.read_text(encoding="utf-8")
    rows = await office.rows("select registration_id, status, route from delivery")
    assert {row.registration_id: (row.status, row.route) for row in rows} == {
        reached.id: ("sent", "sms"),
        missed.id: ("queued", "mobile"),
    }
    await writer.close()
    await bus.close()
