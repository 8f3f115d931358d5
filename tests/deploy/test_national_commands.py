"""The operators' commands of the national view, on a service that runs."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import sqlalchemy as sa

from deploy.hosting import create, opened
from libs.database import provision
from libs.messaging import topics
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.migrations import migrate
from libs.settings import Settings
from libs.web.app import Service
from tests.conftest import SECRET
from tests.national.speaking import Speaker, new_ids
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """A national service at work, and what the commands need to reach it."""

    service: Service
    exporter: PostgresBus
    environment: dict[str, str]

    async def command(self, *arguments: str) -> tuple[int, str]:
        """The exit code and all that was printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def registry(self, *arguments: str) -> tuple[int, str]:
        return await self.command("deploy.registry", *arguments)

    async def sessions(self) -> int:
        async with self.service.database.reading() as session:
            found = await session.execute(
                sa.text(
                    "select count(*) from session"
                    " where generation = (select number from generation where state = 'serving')"
                )
            )
            count: int = found.scalar_one()
            return count


@pytest.fixture
async def running(postgres_url: str, settings: Settings, data_dir: Path) -> AsyncIterator[Running]:
    name = f"n{uuid4().hex[:8]}"
    settings = settings.model_copy(update={"instance": name})
    await migrate(await provision(postgres_url, name, "national", SECRET), "services.national")
    await provision_bus(postgres_url, name, SECRET, list(topics.federated("estrie").values()))
    environment = os.environ | {
        "INSTANCE": name,
        "DATABASE_URL": postgres_url,
        "SECRET_KEY": SECRET,
        "DATA_DIR": str(data_dir),
    }
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(opened("national", settings, postgres_url))
        exporter = PostgresBus(bus_url(postgres_url, name, "exporter", SECRET))
        stack.push_async_callback(exporter.close)
        app = create(service)
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield Running(service, exporter, environment)
    admin = await asyncpg.connect(postgres_url)
    try:
        for database in ("bus", "national"):
            await admin.execute(f'drop database "tournee_{name}_{database}" with (force)')
    finally:
        await admin.close()


async def test_an_operator_registers_an_instance_and_rebuilds_its_figures(running: Running) -> None:
    estrie = Speaker("estrie")
    key = base64.b64encode(estrie.signer.public_key).decode()
    ids = new_ids(20)
    await running.exporter.publish([estrie.session(id_) for id_ in ids])
    reason = ("--reason", "Convention 12")
    early = ("--key", key, "--from", "2026-01-01T00:00:00-05:00")
    code, said = await running.registry(
        "register", "estrie", "BIBLIO Estrie", *early, "--region", "05", *reason
    )
    assert code == 0, said
    assert estrie.signer.key_id in said

    async def counted() -> bool:
        return await running.sessions() == 20

    await eventually(counted, "the sessions are counted")
    code, said = await running.registry("register", "estrie", "Encore", *reason)
    assert (code, said.strip()) == (1, "Une instance de ce nom est déjà inscrite.")
    code, said = await running.command("deploy.rebuild_national")
    assert code == 0, said
    assert "La génération 2 sert depuis maintenant" in said
    assert await running.sessions() == 20

    await running.registry("revoke-key", "estrie", estrie.signer.key_id, *reason)
    code, said = await running.command("deploy.rebuild_national")
    assert code == 1, said
    assert "≠" in said
    assert await running.sessions() == 20
    code, said = await running.command("deploy.rebuild_national", "--accept-differences")
    assert code == 0, said
    assert await running.sessions() == 0

    code, said = await running.registry("list")
    assert "révoquée" in said
    assert "en quarantaine : 20" in said
    code, said = await running.registry("log", "estrie")
    assert [line.split("  ")[-1] for line in said.splitlines()[::2]] == [
        "registered",
        "key-added",
        "key-revoked",
    ]


async def test_a_command_without_an_instance_says_so(running: Running, data_dir: Path) -> None:
    alone = {
        name: text for name, text in running.environment.items() if name not in {"DATABASE_URL", "SECRET_KEY"}
    }
    for command in ("deploy.registry list", "deploy.rebuild_national"):
        lost = Running(running.service, running.exporter, alone)
        code, said = await lost.command(*command.split())
        assert code == 2
        assert str(data_dir) in said
