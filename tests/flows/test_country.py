"""A month in the life of two regions, seen from the nation: national = Σ regional, whatever happens between.

The tests share one country and build on one another's lives, but each holds by itself: it disturbs, waits
until everything has been heard, and compares all figures again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from libs.messaging.bus import Message
from services.national.believing import Reason
from services.national.labels import REASONS
from tests.flows.country import Country, Region, country, in_days, run, stranger
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = 1
"""A port of this machine that nobody listens on."""
UNKNOWN = "nulle-part"
EVERYTHING = "region,month,stream,theme,modality,instance"
TOLD_APART = ("", "region", "month", "stream,modality", "instance", EVERYTHING)
OUR_OWN = {"organisation": "Bibliothèque de quartier", "role": "staff"}
WITH_PROFILE = {"target_groups": ["aines_65"], "consents": ["statistics_profile"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived(postgres_url: str, kafka_bootstrap: str) -> AsyncIterator[Country]:
    """Both regions have lived for two months, and have counted."""
    async with country(postgres_url, kafka_bootstrap) as found:
        await asyncio.gather(*(months(region) for region in found.regions))
        yield found


# --- The script -------------------------------------------------------------------------------------------


async def months(region: Region) -> None:
    """Workshops of both volets, of every modality, in two administrative regions; and what comes of them."""
    plan = await plans(region)
    courriel, tablette, medias, internet = (
        plan[name] for name in ("courriel", "tablette", "medias", "internet")
    )

    # A line: two offers, one accepted, one declined.
    first = [await region.register(courriel, name) for name in ("Aline", "Bruno")]
    third = await region.register(courriel, "Chloé", channel="phone", **WITH_PROFILE)
    fourth = await region.register(courriel, "Denis", channel="desk")
    assert [one["status"] for one in (*first, third, fourth)] == [
        "confirmed",
        "confirmed",
        "waitlisted",
        "waitlisted",
    ]
    await region.act(first[0], "cancel")
    await region.act(third, "accept")
    await region.act(first[1], "cancel")
    await region.act(fourth, "decline")
    await region.register(courriel, "Émile", **WITH_PROFILE)
    await region.register(courriel, "Fatou", channel="paper")

    for name, kind in (("Gil", "on_site"), ("Hawa", "online"), ("Igor", "on_site"), ("Jade", "on_site")):
        await region.register(tablette, name, seat_kind=kind, channel="partner", **OUR_OWN)
    for name in ("Kim", "Léo", "Mia"):
        await region.register(medias, name, channel="desk" if name == "Mia" else "web")
    moved = {"starts_at": in_days(17), "ends_at": in_days(17, 16), "timezone": "America/Toronto"}
    await region.post(f"/api/events/v1/sessions/{medias}/reschedule", moved | {"reason": "Salle prise"})
    for name in ("Nora", "Omar"):
        await region.register(internet, name, **OUR_OWN)
    await region.post(f"/api/events/v1/sessions/{internet}/cancel", {"reason": "Tempête"})

    # Two months later: who came. (One of the sessions is still to come.)
    await region.has_said_all()
    await region.later(timedelta(days=60))
    await eventually(lambda: all_held(region, 4))
    await came(region, courriel, {"Chloé": "attended", "Émile": "absent"}, walk_ins=3)
    await came(region, tablette, {"Gil": "attended", "Hawa": "attended", "Igor": "excused"})
    await came(region, medias, {"Kim": "attended", "Léo": "attended"}, walk_ins=1)
    await region.count()


async def plans(region: Region) -> dict[str, str]:
    """The sessions' ids by the name of their theme."""
    here, there = region.regions
    usual = {"registration_modes": ["web", "phone", "desk"], "timezone": "America/Toronto"}
    planned: dict[str, dict[str, Any]] = {
        "courriel": {"capacity": 2, "day": 5, "at": here},
        "tablette": {
            "capacity": {"on_site": 2, "online": 3}, "day": 9, "at": there, "modality": "hybrid",
            "stream": "pro", "online_url": "https://rencontre.example.org/salle",
        },
        "securite_en_ligne": {
            "capacity": 5, "day": 12, "modality": "online", "region": here, "language": "en",
            "online_url": "https://rencontre.example.org/salle",
        },
        "medias_sociaux": {"capacity": 8, "day": 15, "at": there, "level": "advanced"},
        "internet": {"capacity": 6, "day": 20, "at": here, "stream": "pro"},
        "fausses_nouvelles": {"capacity": 1, "day": 120, "at": there},
    }  # fmt: skip
    found = {}
    for theme, asked in planned.items():
        day = asked.pop("day")
        at = asked.pop("at", None)
        if at is not None:
            asked["venue_id"] = await venue_in(region, at)
        session = await region.published(
            theme=theme,
            title=f"Atelier : {theme}",
            starts_at=in_days(day),
            ends_at=in_days(day, 15),
            **usual | asked,
        )
        found[theme.partition("_")[0]] = session["id"]
    return found


async def one_more(region: Region, theme: str, day: int) -> dict[str, Any]:
    """Another session, with one seat, in the first of its administrative regions."""
    venue = await venue_in(region, region.regions[0])
    return await region.published(
        theme=theme, starts_at=in_days(day), ends_at=in_days(day, 15), capacity=1, venue_id=venue
    )


async def venue_in(region: Region, code: str) -> str:
    answer = await region.client.get("/api/events/v1/venues", params={"region": code, "limit": "1"})
    return str(answer.json()["items"][0]["id"])


async def came(region: Region, session_id: str, outcomes: Mapping[str, str], *, walk_ins: int = 0) -> None:
    """Note who came, by name."""
    roster = await region.client.get(
        f"/api/registrations/v1/sessions/{session_id}/roster", headers=region.staff
    )
    ids = {item["name"]: item["id"] for item in roster.json()["items"]}
    for name, outcome in outcomes.items():
        await region.post(f"/api/registrations/v1/registrations/{ids[name]}/attendance", {"outcome": outcome})
    if walk_ins:
        path = f"/api/registrations/v1/sessions/{session_id}/walk-ins"
        answer = await region.client.put(path, json={"walk_ins": walk_ins}, headers=region.staff)
        assert answer.is_success, answer.text


async def all_held(region: Region, count: int) -> bool:
    (row,) = await region.rows("events", "select count(*) as n from session where status = 'held'")
    return bool(row["n"] == count)


# --- What is compared -------------------------------------------------------------------------------------


async def agree(country: Country, *, but: Iterable[Region] = ()) -> None:
    """Wait until every national figure is the sum of what the regions' own databases say.

    Of the regions in `but` the view says what it said before: they are compared by the caller.
    """
    wrong: list[str] = []

    async def do_agree() -> bool:
        wrong[:] = [line async for line in differences(country)]
        return not wrong

    try:
        for region in country.regions:
            await region.has_said_all()
        await eventually(do_agree)
    except AssertionError as error:
        raise AssertionError("national ≠ Σ regional:\n" + "\n".join(wrong)) from error


async def differences(country: Country) -> AsyncIterator[str]:
    """Each figure that the view says otherwise than the regions, as text."""
    regional: dict[str, Any] = {}
    for region in country.regions:
        regional |= await region.sessions()
        for line in unlike(await region.cells(), await country.cells(region.slug)):
            yield f"{region.slug} cell {line}"
    for line in unlike(regional, await country.sessions()):
        yield f"session {line}"
    public, counted = public_facts(regional), await counted_facts(country)
    for by in TOLD_APART:
        expected = public_figures(public, by) | counted_figures(counted, by)
        ids = sorted({key[0] for key in expected})
        for line in unlike(expected, said(await country.indicators(*ids, by=by))):
            yield f"by {by or 'nothing'}: {line}"
    for by in ("state", "channel", f"channel,state,{EVERYTHING}"):
        expected = tally(counted, by, {"I4": lambda one: (one["n"] if one["state"] else 0,)})
        for line in unlike(expected, said(await country.indicators("I4", by=by))):
            yield f"by {by}: {line}"


def unlike(expected: Mapping[Any, Any], found: Mapping[Any, Any]) -> list[str]:
    return [
        f"{key}: {expected.get(key, 'nothing')} there, {found.get(key, 'nothing')} here"
        for key in expected.keys() | found.keys()
        if expected.get(key) != found.get(key)
    ]


def said(items: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The exact counts in each answer: percentages are worked out from them, and only from ten on."""
    return {
        key: (item["numerator"], item["denominator"])
        if "numerator" in item
        else (*item.get("parts", {}).values(), item["value"])
        for key, item in items.items()
        # The difference of two percentages, each of them of counts that are compared by themselves.
        if key[1] != "gap"
    }


def public_facts(sessions: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: one[name] for name in ("region", "stream", "theme", "modality", "instance", "status")}
        | {"month": one["starts_at_local"][:7]}
        | one["seats"]
        for one in sessions.values()
    ]


def public_figures(facts: list[dict[str, Any]], by: str) -> dict[tuple[Any, ...], tuple[int, ...]]:
    def held(one: Mapping[str, Any]) -> bool:
        return bool(one["status"] == "held")

    live = ("confirmed", "offered", "waitlisted")
    return tally(
        facts,
        by,
        {
            "I1": lambda one: (held(one),),
            "I4": lambda one: (sum(one[name] for name in live) * (one["status"] != "cancelled"),),
            "I8": lambda one: (one["confirmed"] * held(one), one["capacity"] * held(one)),
        },
    )


async def counted_facts(country: Country) -> list[dict[str, Any]]:
    """Every registration, and the walk-ins, which have no state and no channel."""
    found: list[dict[str, Any]] = []
    for region in country.regions:
        instance = {"instance": region.slug}
        found += [dict(row) | instance for row in await region.participations()]
        none = {"state": "", "channel": "none"}
        found += [dict(row) | instance | none for row in await region.walk_ins()]
    return found


def counted_figures(facts: list[dict[str, Any]], by: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    def is_(one: Mapping[str, Any], *states: str) -> int:
        return int(one["n"] if one["state"] in states else 0)

    def minutes(one: Mapping[str, Any], *states: str) -> int:
        return int(one["minutes"] if one["state"] in states else 0)

    assisted = ("phone", "desk", "partner", "paper")
    counts = tally(
        facts,
        by,
        {
            "I6": lambda one: (is_(one, "attended"), is_(one, ""), is_(one, "attended", "")),
            "I7": lambda one: (is_(one, "attended"), is_(one, "attended", "absent")),
            "I11": lambda one: (minutes(one, "attended"), minutes(one, ""), minutes(one, "attended", "")),
            "I19": lambda one: (
                (one["n"] if one["state"] and one["channel"] in assisted else 0),
                (one["n"] if one["state"] else 0),
            ),
        },
    )
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for key, values in counts.items():
        if key[0] == "I11":
            found[key] = tuple(round(value / 60, 1) for value in values)
        else:
            found[("I19", "share", *key[2:]) if key[0] == "I19" else key] = values
    return found


def tally(
    facts: list[dict[str, Any]], by: str, indicators: Mapping[str, Any]
) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Sums by (indicator, measure, values of the dimensions), without those that are zero throughout."""
    names = by.split(",") if by else []
    sums: dict[tuple[Any, ...], list[int]] = {}
    for one in facts:
        for id_, count in indicators.items():
            values = count(one)
            total = sums.setdefault((id_, "", *(one[name] for name in names)), [0] * len(values))
            total[:] = [before + value for before, value in zip(total, values, strict=True)]
    return {key: tuple(values) for key, values in sums.items() if any(values)}


# --- The proof --------------------------------------------------------------------------------------------


async def test_after_a_month_every_national_figure_is_the_sum_of_the_regional_ones(lived: Country) -> None:
    await agree(lived)
    for region in lived.regions:
        kinds = Counter(cell["kind"] for cell in (await region.cells()).values())
        assert kinds["operational"] > 5
        assert kinds["profile"] > 5
    assert await lived.quarantine(pulses=True) == {}


async def test_one_figure_that_is_off_by_one_would_be_noticed(lived: Country) -> None:
    """So that silence means something: one row of each table is changed behind the view's back."""
    for table, figure in (("session", "waitlisted"), ("session_cell", "confirmed"), ("tally", "walk_ins")):
        some = f"(select ctid from {table} where {figure} > 0 limit 1)"
        (row,) = await lived.rows(
            f"update {table} set {figure} = {figure} + 1 where ctid = {some} returning ctid::text as place"
        )
        assert [line async for line in differences(lived)], f"{table}.{figure}"
        await lived.rows(
            f"update {table} set {figure} = {figure} - 1 where ctid = $1::text::tid", row["place"]
        )
    await agree(lived)


async def test_messages_again_twice_and_backwards_change_nothing(lived: Country) -> None:
    """Bytes and headers as they were, straight onto the national streams."""
    before = await lived.state()
    for region in lived.regions:
        said_once = await lived.said(region, "sessions", "seats", "tallies", "heartbeat")
        assert len(said_once) > 30
        await lived.put(*reversed(said_once))
        await lived.put(*said_once)
    await lived.has_heard_all()
    assert await lived.state() == before
    await agree(lived)
    assert await lived.quarantine(pulses=True) == {}


async def test_regions_that_are_cut_off_go_on_and_catch_up(lived: Country) -> None:
    before = await lived.sessions()
    lived.line.to(NOWHERE)
    lived.line.cut()
    await asyncio.to_thread(lived.mirror.kill)

    for region in lived.regions:
        session = await one_more(region, "donnees_infonuagiques", 130)
        people = [await region.register(session["id"], name) for name in ("Paul", "Rosa", "Sam")]
        await region.act(people[0], "cancel")
        await region.act(people[1], "accept")
        await region.count()
        await region.has_said_all()
    assert (await lived.a.client.get("/health/exporter")).json()["bridge_lag"] > 0
    assert await lived.sessions() == before, "nothing of it can have come here"

    lived.line.to(lived.kafka.outside_port)
    await asyncio.to_thread(lived.mirror.start)
    await agree(lived)
    assert len(await lived.sessions()) == len(before) + 2


async def test_the_national_kafka_may_be_away_while_everybody_lives(lived: Country) -> None:
    before = await lived.sessions()
    await asyncio.to_thread(lived.kafka.stop)
    for region in lived.regions:
        sessions = (await region.sessions()).items()
        (session,) = [id_ for id_, one in sessions if one["theme"] == "fausses_nouvelles"]
        await region.register(session, "Théo")
        await region.register(session, "Uma")
        await region.has_said_all()
    assert await lived.sessions() == before, "the view still serves what it knows"
    await asyncio.to_thread(lived.kafka.start)
    await agree(lived)


async def test_a_rebuild_from_the_streams_says_the_same_to_the_last_digit(lived: Country) -> None:
    before = await lived.state()
    said_at_the_end = await lived.command("deploy.rebuild_national")
    assert "sert depuis maintenant" in said_at_the_end
    assert "≠" not in said_at_the_end
    assert await lived.state() == before
    await agree(lived)


@pytest.mark.parametrize("which", ["a", "b"])
async def test_a_region_that_is_restored_from_a_backup_counts_once_its_epoch_is_confirmed(
    lived: Country, which: str
) -> None:
    """The backup knows nothing of a session, of people and of a day: the country forgets them too.

    Region A's bus is put back with its databases; on region B's Kafka everything still stands.
    """
    region: Region = getattr(lived, which)
    await agree(lived)
    at_the_backup = await region.sessions()
    backup = await region.backed_up()
    late = await one_more(region, "ordinateur", 140)
    (session,) = [id_ for id_, one in at_the_backup.items() if one["theme"] == "fausses_nouvelles"]
    for id_ in (session, late["id"]):
        await region.register(id_, "Victor", channel="phone")
    await region.count()
    await agree(lived)
    before = await lived.state()
    assert late["id"] in before["sessions"]

    await region.restored(backup)
    assert await region.sessions() == at_the_backup
    await region.has_said_all()
    await region.count()
    await region.has_said_all()
    expected = len(at_the_backup) * 2 + len(await region.cells())
    await eventually(lambda: waiting_for_its_epoch(lived, region, expected))
    assert await lived.state() == before, "nothing of a new epoch counts before somebody has confirmed it"
    assert "Une restauration attend" in await lived.page(f"/national/instances/{region.slug}")

    await lived.decide(f"/instances/{region.slug}/confirm-epoch", epoch=2, reason="Restaurée, dit son équipe")
    await agree(lived)
    assert (region.slug, str(Reason.UNCONFIRMED_EPOCH)) not in await lived.quarantine(pulses=True)
    assert "sert depuis maintenant" in await lived.command("deploy.rebuild_national")
    await agree(lived)


async def waiting_for_its_epoch(country: Country, region: Region, at_least: int) -> bool:
    doubted = await country.quarantine()
    return doubted.get((region.slug, Reason.UNCONFIRMED_EPOCH), 0) >= at_least


# --- A region that lies -----------------------------------------------------------------------------------


async def test_nothing_that_a_liar_says_touches_a_figure(lived: Country) -> None:
    before, refused = await lived.state(), await lived.quarantine()
    of_a, of_b = lived.a.slug, lived.b.slug
    sessions = {slug: await lived.said(slug, "sessions") for slug in (of_a, of_b)}
    theirs, ours = sessions[of_a][-1], sessions[of_b][-1]
    higher = {"ce_version": "999"}

    # B says with its own key that a session of A's is its own, and that it is gone.
    as_ours = json_changed(stranger(theirs, of_b), region=lived.b.regions[0], id=theirs.key)
    stolen = resigned(as_ours, lived.b, **higher, ce_source=ours.headers["ce_source"])
    # B says it on A's stream, with its own key, in A's name.
    forged = resigned(theirs, lived.b, **higher)
    # B says in its own name, on its own stream, what happened in A's region.
    elsewhere = json_changed(ours, region="03", id=str(uuid4()))
    lies = [
        stolen,
        resigned(replace(stolen, value=None), lived.b),
        forged,
        resigned(elsewhere, lived.b, **higher),
        replace(ours, value=(ours.value or b"")[:-2] + b" }"),
        replace(ours, headers={**ours.headers, **higher}),
        replace(ours, headers={name: text for name, text in ours.headers.items() if name != "signature"}),
        resigned(replace(ours, value=b"{}"), lived.b, **higher),
        resigned(ours, lived.b, ce_epoch="9"),
        stranger(ours, UNKNOWN),
    ]
    await run("deploy.kafka.topics", {"INSTANCE": UNKNOWN, "BUS_URL": lived.kafka.url()})
    await lived.put(*lies)
    await eventually(lambda: doubted_more(lived, refused, len(lies)))

    assert await lived.quarantine() == Counter(refused) + Counter(
        {
            (of_b, "not-theirs"): 2,
            (of_a, "unknown-key"): 1,
            (of_b, "region-not-theirs"): 1,
            (of_b, "bad-signature"): 2,
            (of_b, "unsigned"): 1,
            (of_b, "malformed"): 1,
            (of_b, "unconfirmed-epoch"): 1,
            (UNKNOWN, "unknown-instance"): 1,
        }
    )
    assert await lived.state() == before
    page = await lived.page("/national/instances")
    assert UNKNOWN in page
    assert str(REASONS["unknown-instance"]) in page
    page = await lived.page(f"/national/instances/{of_b}")
    for reason in ("not-theirs", "bad-signature", "unsigned", "unconfirmed-epoch"):
        assert str(REASONS[reason]) in page
    await agree(lived)


async def test_what_a_revoked_key_signs_is_not_believed_and_a_new_key_is(lived: Country) -> None:
    """Somebody has B's key. It is replaced, then revoked, and a rebuild leaves out what it had signed."""
    region, before = lived.b, await lived.state()
    stolen = region.signer
    await lived.decide(f"/instances/{region.slug}/keys/{stolen.key_id}/revoke", reason="Clé volée")
    (last,) = (await lived.said(region, "sessions"))[-1:]
    await lived.put(resigned(last, region, ce_version="999"))
    await eventually(lambda: doubted(lived, region.slug, "key-not-valid"))
    assert await lived.state() == before

    await region.changes_key()
    await lived.decide(
        f"/instances/{region.slug}/keys", public_key=region.public_key, valid_from="2026-01-01T00:00:00Z"
    )
    await agree(lived)
    assert "sert depuis maintenant" in await lived.command("deploy.rebuild_national", "--accept-differences")
    await agree(lived)


def resigned(message: Message, region: Region, **headers: str) -> Message:
    """The message with these headers, signed by the region."""
    return region.signer.sign(replace(message, headers={**message.headers, **headers}))


def json_changed(message: Message, **facts: str) -> Message:
    """Another thing with the message's facts, changed; its key is the `id`."""
    value = orjson.dumps(orjson.loads(message.value or b"") | facts)
    key = facts["id"]
    headers = {**message.headers, "ce_subject": key}
    return replace(message, key=key, partition_key=key, value=value, headers=headers)


async def doubted_more(country: Country, before: Mapping[Any, int], count: int) -> bool:
    return sum((await country.quarantine()).values()) >= sum(before.values()) + count


async def doubted(country: Country, slug: str, reason: str) -> bool:
    return (slug, reason) in await country.quarantine()
