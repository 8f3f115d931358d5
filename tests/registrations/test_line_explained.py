"""Why somebody stands where they stand: a pure function of the line."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from services.registrations.explaining import ranks, why
from services.registrations.pools import PoolKey
from services.registrations.seatbook import Person


def waiter(
    seq: int, *, kind: str = "on_site", channel: str = "web", priority: int = 0, place: str = ""
) -> Person:
    return Person(
        uuid4(), seq, kind, channel, "waitlisted", priority=priority, place=Decimal(place) if place else None
    )


def said(*waiters: Person, held: tuple[PoolKey, ...] = ()) -> list[str]:
    moved_at = datetime(2026, 12, 8, 13, 30, tzinfo=UTC)
    return [" ".join(str(part) for part in why(rank, "fr", moved_at)) for rank in ranks(waiters, held)]


def test_usually_the_number_of_the_request_says_it_all() -> None:
    assert said(waiter(9), waiter(4), waiter(14)) == [
        "Demande numéro 4. Personne n’est avant elle.",
        "Demande numéro 9. Une personne a demandé avant et attend encore.",
        "Demande numéro 14. 2 personnes ont demandé avant et attendent encore.",
    ]


def test_a_higher_class_is_named_and_counted() -> None:
    assert said(waiter(1), waiter(2, priority=2), waiter(3, priority=1), waiter(4)) == [
        "Demande numéro 2. Classe prioritaire 2. Personne n’est avant elle.",
        "Demande numéro 3. Classe prioritaire 1. Une personne d’une classe plus haute est avant elle.",
        "Demande numéro 1. 2 personnes d’une classe plus haute sont avant elle.",
        "Demande numéro 4. 2 personnes d’une classe plus haute sont avant elle."
        " Une personne a demandé avant et attend encore.",
    ]


def test_who_was_moved_is_told_apart() -> None:
    assert said(waiter(1), waiter(2), waiter(3, place="0.5"), waiter(4, place="1.5")) == [
        "Demande numéro 3. Déplacée par l’équipe le mardi 8 décembre 2026, à 13\u00a0h\u00a030."
        " Personne n’est avant elle.",
        "Demande numéro 1. L’équipe a placé une personne avant elle.",
        "Demande numéro 4. Déplacée par l’équipe le mardi 8 décembre 2026, à 13\u00a0h\u00a030."
        " 2 personnes sont avant elle.",
        "Demande numéro 2. L’équipe a placé 2 personnes avant elle."
        " Une personne a demandé avant et attend encore.",
    ]


def test_each_kind_of_seat_has_its_own_places() -> None:
    found = ranks([waiter(1, kind="online"), waiter(2), waiter(3, kind="online", priority=1), waiter(4)], ())

    assert [(rank.waiter.seq, rank.position) for rank in found] == [(3, 1), (1, 2), (2, 1), (4, 2)]


def test_seats_that_are_held_for_a_channel_are_said_to_those_who_may_use_them() -> None:
    held = (PoolKey("on_site", "phone"),)

    first, second, third = said(
        waiter(1, channel="phone"), waiter(2), waiter(3, channel="phone", kind="online"), held=held
    )

    assert first.endswith("Attend aussi une place gardée pour le téléphone.")
    assert "gardée" not in second + third


def test_a_position_is_one_more_than_everybody_ahead() -> None:
    line = [
        waiter(seq, priority=seq % 3, place=str(seq / 2) if seq % 4 == 0 else "", kind=kind)
        for seq in range(1, 40)
        for kind in (("on_site", "online")[seq % 2],)
    ]

    for kind in ("on_site", "online"):
        places = [rank.position for rank in ranks(line, ()) if rank.waiter.kind == kind]
        assert places == list(range(1, len(places) + 1))
