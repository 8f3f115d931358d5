"""The opening hours in every session's ledger, once the operator or the holidays have changed them."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col

from libs.clock import decision_time
from libs.database import Database
from libs.messaging.contracts import SessionState
from libs.settings import Settings
from services.registrations.models import SessionCopy
from services.registrations.office_hours import office_hours, office_json
from services.registrations.seatbook import Replan, terms_of
from services.registrations.seating import Seating


async def renew_office_hours(database: Database, settings: Settings) -> int:
    """Plan anew every session to come whose opening hours are others than it has; how many that was.

    Offers that are out keep the end that was told.
    """
    async with database.reading() as tx:
        now = await decision_time(tx)
        rows = await tx.execute(
            sa.select(col(SessionCopy.id), col(SessionCopy.facts), col(SessionCopy.office)).where(
                col(SessionCopy.status) == "published", col(SessionCopy.starts_at) > now
            )
        )
        others = [row.id for row in rows if _hours(settings, row.facts) != row.office]
    for session_id in others:
        await _renew(database, settings, session_id)
    return len(others)


async def _renew(database: Database, settings: Settings, session_id: UUID) -> None:
    async with database.transaction() as tx:
        seating = await Seating.lock(tx, settings, session_id)
        if seating is None or seating.is_over:
            return
        seating.row.office = _hours(settings, seating.row.facts or {})
        await seating.do(Replan(terms_of(seating.facts, office_hours(settings.office_hours, seating.facts))))
        await seating.finish()


def _hours(settings: Settings, facts: dict[str, object]) -> dict[str, object] | None:
    found = office_hours(settings.office_hours, SessionState.model_validate(facts))
    return None if found is None else office_json(found)
