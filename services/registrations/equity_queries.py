"""What the equity report of a region is made from: its own tallies, whether it shares them or not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.equity import Counts, Report, by_channel, report, summed
from libs.messaging.federated import OperationalCounts

_CELLS_AT_ONCE = 200
"""Read and summed in one go: some milliseconds of a process that also serves requests."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which sessions: the months of their local start (`2026-10`, both included) and their kind.

    Empty: whichever.
    """

    first: str = ""
    last: str = ""
    stream: str = ""
    theme: str = ""
    modality: str = ""


async def equity(tx: AsyncSession, asked: Asked) -> Report | None:
    """The report of the cells as they were last counted; None where nothing at all was: that isn't zero."""
    if not await tx.scalar(_IS_ANYTHING):
        return None
    rows = await tx.execute(_CELLS, _given(asked))
    found: dict[str, Counts] = {}
    for batch in rows.scalars().partitions(_CELLS_AT_ONCE):
        some = by_channel(OperationalCounts.model_validate(cell | _AS_OF) for cell in batch)
        found = {
            channel: summed(one[channel] for one in (found, some) if channel in one)
            for channel in found | some
        }
        await asyncio.sleep(0)  # Requests first.
    return report(found)


async def months(tx: AsyncSession) -> list[str]:
    """The months of which anything is counted, the newest first."""
    return list(await tx.scalars(_MONTHS))


async def counted_at(tx: AsyncSession) -> datetime | None:
    """When counting last went through; None before the first time."""
    moment: datetime | None = await tx.scalar(_COUNTED_AT)
    return moment


def _given(asked: Asked) -> Mapping[str, str | None]:
    return {name: getattr(asked, name) or None for name in Asked.__slots__}


# What was announced is kept without the instant of its counting; the row of the run has it.
_AS_OF = {"as_of": "1970-01-01T00:00:00Z"}
_CELLS = sa.text(
    """
    select cell from tally
    where cell ->> 'kind' = 'operational'
        and month >= coalesce(cast(:first as text), month) and month <= coalesce(cast(:last as text), month)
        and (cast(:stream as text) is null or cell ->> 'stream' = :stream)
        and (cast(:theme as text) is null or cell ->> 'theme' = :theme)
        and (cast(:modality as text) is null or cell ->> 'modality' = :modality)
    """
).columns(sa.column("cell", JSONB()))
_MONTHS = sa.text(
    "select distinct month from tally where cell ->> 'kind' = 'operational' order by month desc"
)
_IS_ANYTHING = sa.text("select exists (select from tally where cell ->> 'kind' = 'operational')")
_COUNTED_AT = sa.text("select counted_at from tally_run").columns(
    sa.column("counted_at", sa.DateTime(timezone=True))
)
