"""Each service's own Alembic history: run, compared with its models, and written.

A service's package has `models.metadata` and dated files in `migrations/versions`. There is no alembic.ini
and no env.py: what they would say is the same for every service and stands here. Alembic's `op` is global
to the process, so migrations run one after the other, never concurrently.
"""

import importlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel.sql.sqltypes import AutoString

from libs.clock import utc_now

_LOCK_TIMEOUT = "10s"
"""A migration that can't get its lock gives up: waiting would queue every query behind it."""
_ONE_AT_A_TIME = 7_038_140
"""The advisory lock, in the service's own database, under which its processes migrate."""

T = TypeVar("T")


class PendingChanges(Exception):
    """The models and the migrations disagree; the text lists how."""


async def migrate(url: str, package: str) -> None:
    """Bring the database at `url` to the newest revision of `package` ("services.events").

    A database that a newer release has migrated stays as it is: what this one needs is still there.
    """
    history = _history(package)
    guard = await asyncpg.connect(url)
    try:
        await guard.execute("select pg_advisory_lock($1)", _ONE_AT_A_TIME)
        await _run(url, lambda connection: _upgrade(connection, history))
    finally:
        await guard.close()


async def is_migrated(url: str, package: str) -> bool:
    """Whether the database at `url` has the newest revision of `package`, or a newer release's."""
    history = _history(package)
    current = await _run(url, lambda connection: _context(connection).get_current_heads())
    return set(current) == set(history.get_heads()) or _is_ahead(current, history)


async def check(url: str, package: str) -> None:
    """Migrate the (scratch) database at `url` and raise `PendingChanges` if the models say more or less."""
    await migrate(url, package)
    differences = await _run(url, lambda connection: _differences(connection, _models(package)))
    if differences:
        raise PendingChanges(f"{package}: " + "; ".join(differences))


async def new_revision(url: str, package: str, message: str) -> Path:
    """Write the revision that takes the (scratch) database at `url` from the history to the models.

    Read the file before committing it: Alembic sees no renames, no changed CHECK constraints and none
    that is written beside its column. `check` finds those that are missing.
    """
    await migrate(url, package)
    upgrade, downgrade = await _run(url, lambda connection: _code(connection, _models(package)))
    history = _history(package)
    now = utc_now()
    slug = "_".join(re.findall(r"[a-z0-9]+", message.lower()))
    path = Path(history.dir) / "versions" / f"{now:%Y_%m_%d_%H%M}_{slug}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _TEMPLATE.format(
        message=message.strip().rstrip(".") + ".",
        dialect="from sqlalchemy.dialects import postgresql\n"
        if "postgresql." in upgrade + downgrade
        else "",
        revision=f"{now:%Y%m%d%H%M}",
        down_revision=repr(history.get_current_head()).replace("'", '"'),
        upgrade=upgrade,
        downgrade=downgrade,
    )
    with path.open("x", encoding="utf-8") as file:
        file.write(content)
    return path


_TEMPLATE = '''"""{message}"""

import sqlalchemy as sa
from alembic import op
{dialect}
revision = "{revision}"
down_revision = {down_revision}
branch_labels = None
depends_on = None


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''


def _history(package: str) -> ScriptDirectory:
    file = importlib.import_module(package).__file__
    assert file is not None
    folder = Path(file).parent / "migrations"
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    return ScriptDirectory(str(folder))


def _models(package: str) -> MetaData:
    metadata = importlib.import_module(f"{package}.models").metadata
    assert isinstance(metadata, MetaData)
    return metadata


async def _run(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        poolclass=NullPool,
        connect_args={"server_settings": {"lock_timeout": _LOCK_TIMEOUT, "application_name": "migrations"}},
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _is_ahead(heads: Iterable[str], history: ScriptDirectory) -> bool:
    known = {script.revision for script in history.walk_revisions()}
    return any(head not in known for head in heads)


def _upgrade(connection: Connection, history: ScriptDirectory) -> None:
    def steps(heads: Any, _context: MigrationContext) -> Any:
        return [] if _is_ahead(heads, history) else history._upgrade_revs("head", heads)

    context = _context(connection, fn=steps, script=history, transaction_per_migration=True)
    with Operations.context(context):
        context.run_migrations()


def _differences(connection: Connection, metadata: MetaData) -> list[str]:
    found = [repr(item) for item in compare_metadata(_context(connection), metadata)]
    # Alembic doesn't compare CHECK constraints; here they have the last word on seats.
    declared, existing = _declared_checks(connection, metadata), _existing_checks(connection)
    found += [f"CHECK {name} is missing in the migrations" for name in sorted(declared - existing)]
    found += [f"CHECK {name} is missing in the models" for name in sorted(existing - declared)]
    return found


def _declared_checks(connection: Connection, metadata: MetaData) -> set[str]:
    write = connection.dialect.identifier_preparer.format_constraint
    holders = (holder for table in metadata.tables.values() for holder in (table, *table.columns))
    constraints = (item for holder in holders for item in holder.constraints)
    return {str(write(item)).strip('"') for item in constraints if isinstance(item, CheckConstraint)}


def _existing_checks(connection: Connection) -> set[str]:
    query = "select conname from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace"
    return set(connection.execute(text(query)).scalars())


def _code(connection: Connection, metadata: MetaData) -> tuple[str, str]:
    context = _context(connection)
    script = produce_migrations(context, metadata)
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    upgrade, downgrade = (
        render_python_code(operations, migration_context=context, render_item=_render_item)
        for operations in (script.upgrade_ops, script.downgrade_ops)
    )
    return _without_remarks(upgrade), _without_remarks(downgrade)


def _without_remarks(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("# ###"))


def _context(connection: Connection, **opts: Any) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"compare_server_default": True, **opts})


def _render_item(kind: str, item: Any, _context: object) -> Any:
    # SQLModel's own string type would make every migration import SQLModel for a plain VARCHAR.
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False
