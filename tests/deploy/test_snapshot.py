"""The command that keeps a month's national figures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from deploy import snapshot
from libs.database import Database, database_name, provision
from libs.migrations import migrate
from tests.conftest import SECRET
from tests.national.indicators.seeding import Country

Command = Callable[..., Awaitable[int]]


@pytest.fixture
async def country(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Country]:
    """The national database of an instance, as the command finds it by the environment."""
    url = await provision(postgres_url, "snapshots", "national", SECRET)
    await migrate(url, "services.national")
    for name, value in {"DATABASE_URL": postgres_url, "INSTANCE": "snapshots", "SECRET_KEY": SECRET}.items():
        monkeypatch.setenv(name, value)
    country = Country(Database(url))
    await country.begin()
    await country.instance("nord", "03")
    await country.session()
    yield country
    await country.database.close()
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f'drop database "{database_name("snapshots", "national")}" with (force)')
    await admin.close()


@pytest.fixture
def command() -> Command:
    """`await command("--month", "2026-10")`: the exit code."""

    async def run(*arguments: str) -> int:
        return await asyncio.to_thread(snapshot.main, list(arguments))

    return run


async def test_a_month_is_kept_and_corrected_with_a_reason(
    country: Country, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("--month", "2026-10") == 0
    assert "version 1" in capsys.readouterr().out

    assert await command("--month", "2026-10") == 0
    assert "rien n’a changé depuis la version 1" in capsys.readouterr().out

    await country.session()
    assert await command("--month", "2026-10", "--reason", "Une séance oubliée.") == 0
    assert "version 2\u00a0: Une séance oubliée." in capsys.readouterr().out


async def test_a_month_that_is_not_over_is_refused(
    country: Country, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("--month", "2999-01") == 2
    assert "n’est pas fini" in capsys.readouterr().err


async def test_a_month_that_is_none_is_refused(command: Command) -> None:
    with pytest.raises(SystemExit):
        await command("--month", "octobre")


async def test_without_an_instance_the_command_says_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("SECRET_KEY", raising=False)

    assert await command("--month", "2026-10") == 2
    assert "il n’y a pas d’instance" in capsys.readouterr().err
