"""A service's history: run once however many ask, compared with its models, written from them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.migrations import PendingChanges, check, is_migrated, migrate, new_revision

_MODELS = """
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from libs.database import service_metadata
metadata = service_metadata()
sa.Table("parcel", metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("weight", sa.Integer, nullable=False, server_default="0", index=True),
    sa.Column("content", JSONB, nullable=False),
    sa.CheckConstraint("weight >= 0", name="weight"))
"""

DatabaseUrl = Callable[[str], Awaitable[str]]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service made of models only, as importable as the real ones."""
    name = "parcels_under_test"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "models.py").write_text(_MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


async def test_a_written_revision_brings_the_database_to_the_models(
    package: str, database_url: DatabaseUrl
) -> None:
    path = await new_revision(await database_url("empty"), package, "First tables")
    assert path.name.endswith("_first_tables.py")
    await check(await database_url("empty"), package)


async def test_a_check_that_alembic_overlooks_is_reported(
    package: str, tmp_path: Path, database_url: DatabaseUrl
) -> None:
    models = tmp_path / package / "models.py"
    beside = 'sa.Column("light", sa.Boolean, sa.CheckConstraint("light", name="light")),'
    models.write_text(
        models.read_text().replace("    sa.CheckConstraint", f"    {beside}\n    sa.CheckConstraint")
    )
    await new_revision(await database_url("empty"), package, "First tables")
    with pytest.raises(PendingChanges, match="ck_parcel_light"):
        await check(await database_url("empty"), package)


async def test_what_the_models_say_more_is_reported(package: str, database_url: DatabaseUrl) -> None:
    with pytest.raises(PendingChanges, match="parcel"):
        await check(await database_url("empty"), package)


async def test_a_check_that_only_the_models_have_is_reported(
    package: str, tmp_path: Path, database_url: DatabaseUrl
) -> None:
    path = await new_revision(await database_url("empty"), package, "First tables")
    kept = [line for line in path.read_text().splitlines() if "CheckConstraint" not in line]
    path.write_text("\n".join(kept))
    with pytest.raises(PendingChanges, match="ck_parcel_weight"):
        await check(await database_url("empty"), package)


async def test_migrating_again_changes_nothing(package: str, database_url: DatabaseUrl) -> None:
    await new_revision(await database_url("empty"), package, "First tables")
    url = await database_url("empty")
    await migrate(url, package)
    await migrate(url, package)
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("select count(*) from alembic_version") == 1
    finally:
        await connection.close()


async def test_processes_that_start_together_migrate_once(package: str, database_url: DatabaseUrl) -> None:
    await new_revision(await database_url("empty"), package, "First tables")
    url = await database_url("empty")
    script = "import asyncio, sys; from libs.migrations import migrate; asyncio.run(migrate(*sys.argv[1:]))"
    paths = ":".join(path for path in sys.path if path)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, url, package, env={"PYTHONPATH": paths}
        )
        for _ in range(3)
    ]
    assert [await process.wait() for process in processes] == [0, 0, 0]


async def test_a_newer_release_leaves_a_database_that_the_older_one_goes_on_with(
    package: str, tmp_path: Path, database_url: DatabaseUrl
) -> None:
    await new_revision(await database_url("empty"), package, "First tables")
    url = await database_url("empty")
    assert not await is_migrated(url, package)
    await migrate(url, package)
    assert await is_migrated(url, package)

    connection = await asyncpg.connect(url)
    await connection.execute("update alembic_version set version_num = 'of-a-later-release'")
    await migrate(url, package)
    assert await is_migrated(url, package)
    assert await connection.fetchval("select version_num from alembic_version") == "of-a-later-release"
    await connection.close()
