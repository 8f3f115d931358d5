"""What must hold in a country whatever happened: what one says, all others say.

Each check yields a sentence for each difference.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tests.chaos.country.facts import Country, Facts, Regional

Check = Callable[[Country], Iterator[str]]


def plans_are_as_answered(country: Country) -> Iterator[str]:
    """Each session stands as the coordinator was last told, and there are no others."""
    for region in country.regions:
        for id_ in region.plans.keys() ^ region.sessions.keys():
            yield f"{region.slug}: {id_} was answered or is there, not both"
        for id_, plan in region.plans.items():
            told = (plan.status, f"{plan.starts_at}:00", sum(plan.capacity.values()))
            session = region.sessions.get(id_)
            is_ = session and (session["status"], session["starts_at_local"], session["planned"])
            if is_ is not None and is_ != told:
                yield f"{region.slug}: « {plan.title} » is {is_}, the coordinator was told {told}"


def every_cause_has_one_delivery(country: Country) -> Iterator[str]:
    """S7: whatever happened to somebody is told them once: one delivery for each cause, and no other."""
    for region in country.regions:
        caused = Counter(region.causes)
        told = Counter(
            (one["registration_id"], one["epoch"], one["version"], one["cause"]) for one in region.deliveries
        )
        for key in caused.keys() | told.keys():
            if not caused[key] == told[key] == 1:
                yield f"{region.slug}: {key} happened {caused[key]} times and has {told[key]} deliveries"


def every_letter_has_left(country: Country) -> Iterator[str]:
    """S7: what is to be said by mail has been: the mail server has it under its own Message-ID."""
    for region in country.regions:
        for one in region.deliveries:
            if one["route"] == "email" and one["status"] in {"queued", "failed"}:
                yield f"{region.slug}: {one['cause']} of {one['registration_id']} is {one['status']}"
            elif one["status"] == "sent" and one["message_id"] not in country.letters:
                yield f"{region.slug}: {one['message_id']} was sent and never arrived"


def no_letter_is_unasked(country: Country) -> Iterator[str]:
    """S7: each letter is of one delivery, for one person; a repetition has the same Message-ID."""
    left = {
        one["message_id"]: region.tables.registrations[one["registration_id"]]["email"]
        for region in country.regions
        for one in region.deliveries
        if one["status"] in {"sent", "superseded"}
    }
    for message_id, people in country.letters.items():
        if people != {left.get(message_id)}:
            yield f"{message_id} came for {sorted(people)}, it was for {left.get(message_id)}"


def national_sessions_are_the_regional_ones(country: Country) -> Iterator[str]:
    """Sessions and seats: the country shows those of all regions, as each knows them, and no others."""
    regional = {id_: facts for region in country.regions for id_, facts in region.sessions.items()}
    yield from _unlike("session", regional, country.sessions)


def national_counts_are_the_regional_ones(country: Country) -> Iterator[str]:
    """Tallies: each cell stands as its region said it last, and no other cell is there."""
    for region in country.regions:
        yield from _unlike(f"{region.slug}: cell", region.cells, country.cells.get(region.slug, {}))


def counts_are_the_people(country: Country) -> Iterator[str]:
    """Tallies: the cells of a region add up to its rows, and so does the indicator I4, state by state.

    Without states it counts who has a seat, is offered one or waits, from the public seats.
    """
    for region in country.regions:
        counted: Counter[str] = Counter()
        for cell in country.cells.get(region.slug, {}).values():
            if cell["kind"] == "operational":
                counted.update(cell["registrations"])
        people = Counter(str(row["status"]) for row in region.tables.registrations.values())
        if +counted != people:
            yield f"{region.slug}: counted {dict(+counted)}, there are {dict(people)}"
        by_state = Counter(country.by_state.get(region.slug, {}))
        if +by_state != people:
            yield f"{region.slug}: I4 says {dict(+by_state)}, there are {dict(people)}"
        live = people["confirmed"] + people["offered"] + people["waitlisted"]
        said = country.live.get(region.slug, 0)
        if said != live:
            yield f"{region.slug}: I4 says {said} now, there are {live}"


def public_seats_are_the_people(country: Country) -> Iterator[str]:
    """Seats: what the country shows of a session is counted from the rows of its people."""
    for region in country.regions:
        for id_ in region.tables.sessions:
            people = Counter(row["status"] for row in region.tables.of_session.get(id_, ()))
            seats = country.sessions.get(id_, {}).get("seats") or {}
            said = tuple(seats.get(name, 0) for name in ("confirmed", "offered", "waitlisted"))
            right = tuple(people[name] for name in ("confirmed", "offered", "waitlisted"))
            if said != right:
                yield f"{region.slug}: {id_} is shown with {said}, there are {right}"


def nothing_is_doubted(country: Country) -> Iterator[str]:
    """All messages came from whom they name: nothing is in quarantine."""
    yield from (f"{each} is in quarantine" for each in country.quarantined)


def nothing_is_parked(country: Country) -> Iterator[str]:
    """No service met a message that it couldn't read."""
    for region in country.regions:
        yield from (f"{region.slug}: {service} parked {n}" for service, n in region.parked.items() if n)


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        plans_are_as_answered,
        every_cause_has_one_delivery,
        every_letter_has_left,
        no_letter_is_unasked,
        national_sessions_are_the_regional_ones,
        national_counts_are_the_regional_ones,
        counts_are_the_people,
        public_seats_are_the_people,
        nothing_is_doubted,
        nothing_is_parked,
    )
}


def causes_of(region: Regional) -> Counter[str]:
    """What came about in a region."""
    return Counter(cause for *_, cause in region.causes)


def _unlike(what: str, there: Mapping[str, Facts], here: Mapping[str, Facts]) -> Iterator[str]:
    for key in sorted(there.keys() | here.keys()):
        if there.get(key) != here.get(key):
            yield f"{what} {key}: {there.get(key)} in the region, {here.get(key)} in the country"
