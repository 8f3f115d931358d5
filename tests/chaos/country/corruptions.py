"""Ways in which a country could disagree with itself: each check must see every one of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.country.facts import Country, Facts


@dataclass(frozen=True, slots=True)
class Corruption:
    """`do` changes what somebody says, in place; `check` must see it."""

    check: str
    what: str
    do: Callable[[Country], object]


def _session(country: Country) -> Facts:
    return next(facts for facts in country.sessions.values() if facts["seats"]["confirmed"])


def _more_seats(country: Country) -> None:
    _session(country)["seats"]["confirmed"] += 1


def _forget_a_session(country: Country) -> None:
    country.sessions.pop(next(iter(country.sessions)))


def _another_start(country: Country) -> None:
    _session(country)["starts_at_local"] = "2026-01-01T00:00:00"


def _of_somebody_else(country: Country) -> None:
    _session(country)["instance"] = "elsewhere"


def _change_a_plan(country: Country) -> None:
    next(iter(country.regions[0].plans.values())).capacity["on_site"] = 999


def _lose_a_plan(country: Country) -> None:
    region = country.regions[-1]
    region.sessions.pop(next(iter(region.plans)))


def _tell_twice(country: Country) -> None:
    region = country.regions[0]
    region.deliveries.append(region.deliveries[0] | {"message_id": "<another@example.org>"})


def _leave_a_letter(country: Country) -> None:
    one = next(one for one in country.regions[0].deliveries if one["route"] == "email")
    one["status"] = "queued"


def _lose_a_letter(country: Country) -> None:
    one = next(one for one in country.regions[0].deliveries if one["status"] == "sent")
    country.letters.pop(one["message_id"])


def _invent_a_letter(country: Country) -> None:
    country.letters["<nobody@example.org>"] = {"personne@example.org"}


def _misdirect_a_letter(country: Country) -> None:
    country.letters[next(iter(country.letters))] = {"personne.d.autre@example.org"}


def _cells(country: Country) -> dict[str, Facts]:
    return country.cells[country.regions[0].slug]


def _count_another(country: Country) -> None:
    cell = next(cell for cell in _cells(country).values() if cell["kind"] == "operational")
    cell["registrations"] = cell["registrations"] | {
        "confirmed": cell["registrations"].get("confirmed", 0) + 1
    }


def _lose_a_cell(country: Country) -> None:
    cells = _cells(country)
    cells.pop(next(key for key, cell in cells.items() if cell["kind"] == "operational"))


def _say_one_more(country: Country) -> None:
    country.live[country.regions[0].slug] += 1


def _say_another_state(country: Country) -> None:
    said = country.by_state[country.regions[0].slug]
    said["confirmed"], said["cancelled"] = said["confirmed"] + 1, said["cancelled"] - 1


CORRUPTIONS = (
    Corruption("plans_are_as_answered", "a plan was answered and not kept", _change_a_plan),
    Corruption("plans_are_as_answered", "a session is lost", _lose_a_plan),
    Corruption("every_cause_has_one_delivery", "a cause is told twice", _tell_twice),
    Corruption(
        "every_cause_has_one_delivery", "a cause is never told", lambda c: c.regions[1].deliveries.pop()
    ),
    Corruption("every_letter_has_left", "a letter waits for ever", _leave_a_letter),
    Corruption("every_letter_has_left", "a letter never arrived", _lose_a_letter),
    Corruption("no_letter_is_unasked", "a letter of no delivery", _invent_a_letter),
    Corruption("no_letter_is_unasked", "a letter for somebody else", _misdirect_a_letter),
    Corruption("national_sessions_are_the_regional_ones", "a seat more", _more_seats),
    Corruption("national_sessions_are_the_regional_ones", "a session less", _forget_a_session),
    Corruption("national_sessions_are_the_regional_ones", "another start", _another_start),
    Corruption("national_sessions_are_the_regional_ones", "another region's", _of_somebody_else),
    Corruption("national_counts_are_the_regional_ones", "a person more in a cell", _count_another),
    Corruption("national_counts_are_the_regional_ones", "a cell less", _lose_a_cell),
    Corruption("counts_are_the_people", "a person more in a cell", _count_another),
    Corruption("counts_are_the_people", "a person more in the indicator", _say_one_more),
    Corruption("counts_are_the_people", "a person in another state in the indicator", _say_another_state),
    Corruption("public_seats_are_the_people", "a seat more", _more_seats),
    Corruption(
        "nothing_is_doubted",
        "a message is in quarantine",
        lambda country: country.quarantined.append("plaine plaine.federated.seats bad-signature"),
    ),
    Corruption(
        "nothing_is_parked",
        "a message was parked",
        lambda country: country.regions[0].parked.update(notifications=1),
    ),
)
