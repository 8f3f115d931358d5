"""Explaining: why somebody stands where they stand in the line, in words for the team (rule S4)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.registrations.pools import PoolKey
from services.registrations.waitlist import W, in_order


@dataclass(frozen=True, slots=True)
class Rank(Generic[W]):
    """Where somebody stands among those who wait for the same kind of seat; `position` 1 is next.

    Ahead of them are `higher` people of a higher class, `moved` whom staff put there within their own
    class, `drawn` whom the draw put there, and `earlier` who asked before. `held`: a seat kept for their
    channel may come to them too; `part`: they left a party that waits, and stand right behind it.
    """

    waiter: W
    higher: int
    moved: int
    earlier: int
    held: bool = False
    drawn: int = 0
    part: bool = False

    @property
    def ahead(self) -> int:
        return self.higher + self.moved + self.earlier + self.drawn

    @property
    def position(self) -> int:
        return self.ahead + 1


@dataclass(slots=True)
class _Passed:
    """Those of one kind of seat that were counted so far; all but `higher` are of class `priority`."""

    priority: int
    higher: int = 0
    moved: int = 0
    earlier: int = 0
    drawn: int = 0

    def enter(self, priority: int) -> None:
        if priority != self.priority:
            self.higher += self.moved + self.earlier + self.drawn
            self.priority, self.moved, self.earlier, self.drawn = priority, 0, 0, 0


def ranks(waiters: Iterable[W], held: Collection[PoolKey], parts: Collection[int] = ()) -> list[Rank[W]]:
    """Where each of a session's waiters stands, in the order of the line; `held` are the held pools.

    `parts`: the numbers of those who left a party that waits.
    """
    passed: dict[str, _Passed] = {}
    found: list[Rank[W]] = []
    for waiter in in_order(waiters):
        before = passed.setdefault(waiter.kind, _Passed(waiter.priority))
        before.enter(waiter.priority)
        own_pool, part = PoolKey(waiter.kind, waiter.channel), waiter.seq in parts
        counted = (before.higher, before.moved, before.earlier, own_pool in held, before.drawn, part)
        found.append(Rank(waiter, *counted))
        if waiter.place is not None and not part:
            before.moved += 1
        elif waiter.rank is not None:
            before.drawn += 1
        else:
            before.earlier += 1
    return found


def why(
    rank: Rank[W], language: str, moved_at: datetime | None = None, gather_until: datetime | None = None
) -> tuple[LazyString, ...]:
    """« Demande numéro 14. 2 personnes ont demandé avant et attendent encore. », a sentence each.

    The number was given when the request arrived, whatever its channel. `moved_at`: the wall time at which
    staff last moved the person in the line, if they did. `gather_until`: until when, in wall time, free
    seats are kept for this party.
    """
    waiter = rank.waiter
    sentences = [_("Demande numéro %(seq)s.", seq=waiter.seq)]
    if waiter.rank is not None:
        sentences.append(_("Rang %(rank)s au tirage.", rank=waiter.rank))
    if waiter.priority:
        sentences.append(_("Classe prioritaire %(priority)s.", priority=waiter.priority))
    if rank.part and moved_at is None:
        sentences.append(_("S’est séparée de son groupe et se tient juste après."))
    elif waiter.place is not None:
        sentences.append(_moved(moved_at, language))
    sentences += _ahead(rank)
    sentences += _party(waiter, gather_until, language)
    if rank.held:
        sentences.append(_HELD.get(waiter.channel, _("Attend aussi une place gardée pour son canal.")))
    return tuple(sentences)


def _party(waiter: W, gather_until: datetime | None, language: str) -> list[LazyString]:
    """Why somebody behind may get a seat first, or nobody one that is free."""
    if waiter.size == 1:
        return []
    together = _("Il faut %(count)s places ensemble.", count=waiter.size)
    if gather_until is not None:
        return [together, waits_for_more(waiter.size, formats.at(gather_until, language))]
    if waiter.gathered:
        return [together, _("Des places libres l’ont déjà attendue. Son rang reste le même.")]
    return [together]


def waits_for_more(size: int, until: str) -> LazyString:
    """« La place libre attend que 2 se libèrent, jusqu’au … »: what gathers for a party."""
    return _(
        "La place libre attend qu’il y en ait %(count)s, au plus tard le %(moment)s",
        count=size,
        moment=formats.full_stop(until),
    )


def _moved(at: datetime | None, language: str) -> LazyString:
    if at is None:
        return _("Déplacée par l’équipe.")
    return _("Déplacée par l’équipe le %(moment)s", moment=formats.full_stop(formats.at(at, language)))


def _ahead(rank: Rank[W]) -> list[LazyString]:
    if rank.ahead == 0:
        return [_("Personne n’est avant elle.")]
    if rank.waiter.place is not None:
        return [ngettext("Une personne est avant elle.", "%(count)s personnes sont avant elle.", rank.ahead)]
    return [sentence for count, sentence in _causes(rank) if count]


def _causes(rank: Rank[W]) -> tuple[tuple[int, LazyString], ...]:
    return (
        (
            rank.higher,
            ngettext(
                "Une personne d’une classe plus haute est avant elle.",
                "%(count)s personnes d’une classe plus haute sont avant elle.",
                rank.higher,
            ),
        ),
        (
            rank.moved,
            ngettext(
                "L’équipe a placé une personne avant elle.",
                "L’équipe a placé %(count)s personnes avant elle.",
                rank.moved,
            ),
        ),
        (
            rank.drawn,
            ngettext(
                "Le tirage a placé une personne avant elle.",
                "Le tirage a placé %(count)s personnes avant elle.",
                rank.drawn,
            ),
        ),
        (
            rank.earlier,
            ngettext(
                "Une personne a demandé avant et attend encore.",
                "%(count)s personnes ont demandé avant et attendent encore.",
                rank.earlier,
            ),
        ),
    )


_HELD = {
    "phone": _("Attend aussi une place gardée pour le téléphone."),
    "desk": _("Attend aussi une place gardée pour le comptoir."),
    "email": _("Attend aussi une place gardée pour les courriels."),
    "partner": _("Attend aussi une place gardée pour les organismes."),
    "paper": _("Attend aussi une place gardée pour les formulaires sur papier."),
    "web": _("Attend aussi une place gardée pour le Web."),
}
