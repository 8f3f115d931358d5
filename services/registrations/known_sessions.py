"""What the lane knows of sessions by heart: their facts, read once for each version."""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

import orjson

from libs.messaging.contracts import SessionState
from libs.settings import Settings
from services.registrations.seatbook import Terms, terms_of
from services.registrations.telling import session_facts

_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Known:
    """One version of a session. `told` and `told_with_link` are its facts in a notice, as JSON."""

    newness: tuple[int, ...]
    facts: SessionState
    terms: Terms
    has_link: bool
    told: orjson.Fragment
    told_with_link: orjson.Fragment


class KnownSessions:
    """The sessions last used, at most 5,000; whoever holds a session's lock says which version is current."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[UUID, Known] = OrderedDict()

    def get(self, session_id: UUID, newness: tuple[int, ...]) -> Known | None:
        """The session if exactly this version of it is known."""
        known = self._known.get(session_id)
        if known is None or known.newness != newness:
            return None
        self._known.move_to_end(session_id)
        return known

    def learn(
        self, session_id: UUID, newness: tuple[int, ...], facts: SessionState, online_url: str | None
    ) -> Known:
        """Keep this version; the session used longest ago makes room."""
        known = Known(
            newness,
            facts,
            terms_of(facts),
            online_url is not None,
            self._told(facts, None),
            self._told(facts, online_url),
        )
        self._known[session_id] = known
        self._known.move_to_end(session_id)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return known

    def _told(self, facts: SessionState, online_url: str | None) -> orjson.Fragment:
        told = session_facts(facts, self._settings, online_url=online_url)
        return orjson.Fragment(orjson.dumps(told.model_dump(mode="json")))
