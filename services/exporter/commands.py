"""What can be decided: how much of a volet the region shares."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.clock import utc_now
from libs.settings import Settings
from libs.web.i18n import _
from libs.web.problems import Conflict
from services.exporter.heartbeat import beat
from services.exporter.models import SharingChange
from services.exporter.saying import Standing, Voice


class ChangedMeanwhile(Conflict):
    """Somebody else decided while the page was open."""

    slug = "changed-meanwhile"
    title = _("Quelqu’un a changé ce partage entre-temps")
    detail = _("Revenez à la page du partage pour voir ce qui vaut maintenant.")


@dataclass(frozen=True, slots=True)
class Decision:
    """What the region decides about a volet. `seen`: the level that the person saw; None doesn't ask."""

    volet: str
    level: str
    reason: str
    decided_by: str
    seen: str | None = None


async def decide(tx: AsyncSession, settings: Settings, voice: Voice, decision: Decision) -> bool:
    """Let `decision` hold from now on; whether it changed anything. Raises `ChangedMeanwhile`.

    The national view is told at once with a heartbeat, so that it says « not shared » before the first
    thing is taken back. What has left already is brought in line afterwards (`restating`).
    """
    # Waits for the transactions that still rest on the old level.
    levels = {row.volet: row.level for row in await tx.execute(_LOCK)}
    before = levels[decision.volet]
    if decision.seen is not None and decision.seen != before:
        raise ChangedMeanwhile
    if decision.level == before:
        return False
    await tx.execute(_SET, {"volet": decision.volet, "level": decision.level})
    tx.add(
        SharingChange(
            volet=decision.volet,
            before=before,
            after=decision.level,
            reason=decision.reason,
            decided_by=decision.decided_by,
            decided_at=utc_now(),
        )
    )
    tx.info.pop(Standing, None)
    await beat(tx, settings, voice)
    return True


_LOCK = sa.text("select volet, level from sharing order by volet for update")
_SET = sa.text("update sharing set level = :level, settled = false where volet = :volet")
