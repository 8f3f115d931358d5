"""Reaching: whether somebody heard the newest news about their registration, and how it was tried.

Nothing is promised that didn't happen: who wasn't told is shown as not told, with every route that was tried.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from libs.messaging.contracts import Attempt, NoticeOutcome
from libs.web.i18n import LazyString, _, ngettext

State = Literal["told", "waiting", "trying", "unreached"]
"""`waiting`: nobody has tried yet; `trying`: tried in vain so far; `unreached`: no route is left."""

_NOT_IN_VAIN = frozenset({"sent", "delivered", "reached", "told", "posted", "delayed"})
"""The person has it, or a machine goes on trying."""

ROUTES = {
    "email": _("par courriel"),
    "sms": _("par SMS"),
    "mobile": _("par cellulaire"),
    "phone": _("par téléphone"),
    "postal": _("par la poste"),
}
RESULTS = {
    "sent": _("envoyé"),
    "delivered": _("reçu"),
    "reached": _("personne jointe"),
    "told": _("personne prévenue autrement"),
    "posted": _("lettre postée"),
    "undelivered": _("pas arrivé"),
    "refused": _("refusé"),
    "delayed": _("pas encore parti"),
    "left_message": _("message laissé"),
    "no_answer": _("pas de réponse"),
    "wrong_number": _("mauvais numéro"),
    "returned": _("lettre revenue"),
    "gave_up": _("abandonné après plusieurs essais"),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the newest news came that nothing newer took the place of."""

    notice: NoticeOutcome

    @property
    def state(self) -> State:
        if self.notice.outcome == "told":
            return "told"
        if self.notice.outcome == "not_told":
            return "unreached"
        return "trying" if self.in_vain else "waiting"

    @property
    def in_vain(self) -> tuple[Attempt, ...]:
        """The tries that reached nobody."""
        return tuple(one for one in self.notice.tried if one.result not in _NOT_IN_VAIN)

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes by which it was tried in vain, in their order, each once."""
        return tuple(dict.fromkeys(one.route for one in self.in_vain))

    @property
    def is_bad(self) -> bool:
        """Whether the person may know nothing of the newest news although it was tried to tell them."""
        return self.state in ("trying", "unreached")

    @property
    def tried(self) -> tuple[LazyString, ...]:
        """« par téléphone, 2 fois », a part for each route."""
        counts = [
            (route, sum(one.times for one in self.in_vain if one.route == route)) for route in self.routes
        ]
        return tuple(
            ROUTES[route]
            if count == 1
            else ngettext(
                "%(route)s, %(count)s fois", "%(route)s, %(count)s fois", count, route=ROUTES[route]
            )
            for route, count in counts
            if route in ROUTES
        )


def reach_of(notices: Sequence[NoticeOutcome]) -> Reach | None:
    """How far the newest news came; None where nothing was to be told, or nothing is known of it."""
    counting = [notice for notice in notices if notice.outcome != "overtaken"]
    return Reach(max(counting, key=lambda one: (one.epoch, one.version))) if counting else None


def told(notices: Iterable[NoticeOutcome], cause: str, versions: Iterable[int]) -> tuple[NoticeOutcome, ...]:
    """Of the causes of this name and these versions those that the person really was told of, in order."""
    wanted = set(versions)
    return tuple(
        notice
        for notice in notices
        if notice.cause == cause and notice.version in wanted and notice.outcome == "told"
    )


def result_label(attempt: Attempt) -> LazyString:
    """What came of a try, in words, and a server's code as it is: « pas arrivé (30003) »."""
    words = RESULTS.get(attempt.result)
    if words is None:
        return _("refusé (%(code)s)", code=attempt.result)
    return _("%(result)s (%(code)s)", result=words, code=attempt.code) if attempt.code else words
