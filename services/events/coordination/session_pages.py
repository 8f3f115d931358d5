"""A session on one page: its facts, seats, people who deliver it, and what can be done to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.clock import zone
from libs.web import formats
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors, read_form
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed
from services.events import commands, labels
from services.events import queries as lists
from services.events.coordination import queries, reaching
from services.events.coordination.desk import Desk, desk_of, id_of, tried
from services.events.coordination.forms import version_of
from services.events.coordination.rows import SessionRow
from services.events.coordination.session_form import CHANNEL_NAMES, whole
from services.events.coordination.words import ZONES, busy_sentence, done
from services.events.models import Session, Trainer
from services.events.planning import Clash
from services.events.plans import releases_of
from services.events.problems import NeverPublished, SessionCancelled, SessionHeld, Stale, UnknownSession
from services.events.schedule import KINDS
from services.events.views import Record

router = APIRouter(prefix="/coordination/seances/{session_id}", include_in_schema=False)

Words = LazyString | str


@router.get("")
async def show(request: Request, db: Reading, staff: Staff, session_id: UUID) -> Response:
    desk = await desk_of(request, db)
    return await _page(desk, db, await _record(db, session_id), FormErrors())


async def _page(
    desk: Desk, db: AsyncSession, record: Record, errors: FormErrors, status: int = 200
) -> Response:
    session = record.session
    row = (await queries.rows_of(db, [session.id], desk.home_zone, desk.language))[0]
    everybody = await queries.all_trainers(db)
    busy = await _busy(desk, db, session, everybody)
    assigned = [trainer for trainer in everybody if trainer.id in record.trainer_ids]
    return desk.page(
        "session.html",
        status,
        session=session,
        venue=record.venue,
        row=row,
        errors=errors,
        facts=_facts(record, desk.language),
        history=_history(session, desk),
        trainers=[(trainer, busy.get(trainer.id, [])) for trainer in assigned],
        others=[
            (str(trainer.id), _option(trainer, busy.get(trainer.id, [])))
            for trainer in everybody
            if trainer.id not in record.trainer_ids
        ],
        people=reaching.told(row.reach),
        by_kind=_by_kind(record),
        held=_held(session, desk.language),
        window=_window(session, desk.language),
        is_over=session.ends_at_utc <= desk.now,
        tour_is_draft=record.tour is not None and record.tour.status == "draft",
    )


def _option(trainer: Trainer, busy: list[LazyString]) -> Words:
    return _("%(name)s (a déjà une séance à ce moment)", name=trainer.name) if busy else trainer.name


# --- What can be done -------------------------------------------------------------------------------------


@router.post("/publier")
async def publish(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    """A draft goes on the calendar; if it was changed since it was read, it is shown again first."""
    desk, form = await desk_of(request, db), await read_form(request)

    async def work() -> Session:
        return await commands.publish_session(db, desk.instance, session_id, expected=version_of(form))

    session, problem = await tried(db, work)
    if session is not None:
        return done(f"/coordination/seances/{session_id}", "published")
    if isinstance(problem, Stale):
        return done(f"/coordination/seances/{session_id}", "stale")
    assert problem is not None
    record = await _record(db, session_id)
    errors = FormErrors()
    messages = [item.message for item in problem.errors] or [problem.detail or problem.title]
    errors.add("", messages[0])
    return await _page(desk, db, record, errors, problem.status)


@router.get("/annuler")
async def ask_to_cancel(request: Request, db: Reading, staff: Staff, session_id: UUID) -> Response:
    desk = await desk_of(request, db)
    return await _cancel_page(desk, db, session_id, "", FormErrors())


@router.post("/annuler")
async def cancel(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    """Cancel, unless the session was changed since the question was read."""
    desk, form = await desk_of(request, db), await read_form(request)
    record = await _record(db, session_id)
    people = reaching.people(record.reach.by_route if record.reach is not None else {})
    reason = form.get("reason", "")
    expected = version_of(form)

    async def work() -> Session:
        given = {"reason": reason or None}
        return await commands.cancel_session(db, desk.instance, session_id, given, expected=expected)

    session, problem = await tried(db, work)
    if session is not None:
        return done(f"/coordination/seances/{session_id}", "cancelled", people)
    errors = FormErrors()
    if isinstance(problem, Stale):
        message = _("Quelqu’un a changé cette séance entre-temps. Relisez, puis confirmez.")
        errors.add("", message)
        return await _cancel_page(desk, db, session_id, reason, errors, 412)
    if isinstance(problem, Malformed):
        errors.add("reason", problem.errors[0].message)
        return await _cancel_page(desk, db, session_id, reason, errors, 422)
    assert problem is not None
    raise problem


async def _cancel_page(
    desk: Desk, db: AsyncSession, session_id: UUID, reason: str, errors: FormErrors, status: int = 200
) -> Response:
    record = await _record(db, session_id)
    session = record.session
    way_out: dict[str, Any] = {
        "next_href": f"/coordination/seances/{session_id}",
        "next_label": _("Voir la séance"),
    }
    if session.status == "cancelled":
        raise SessionCancelled(**way_out)
    if session.status == "held":
        raise SessionHeld(**way_out)
    if session.status == "draft":
        raise NeverPublished(**way_out)
    reach = record.reach.by_route if record.reach is not None else {}
    row = (await queries.rows_of(db, [session_id], desk.home_zone, desk.language))[0]
    return desk.page(
        "session_cancel.html",
        status,
        session=session,
        row=row,
        people=reaching.told(reach),
        count=reaching.people(reach),
        reason=reason,
        errors=errors,
    )


@router.post("/places")
async def change_capacity(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    """More or fewer seats. Nobody loses theirs: a smaller number is reached as seats become free."""
    desk, form = await desk_of(request, db), await read_form(request)
    record = await _record(db, session_id)
    capacity = {
        kind: whole(form[f"capacity/{kind}"], 0)
        for kind in ("on_site", "online")
        if f"capacity/{kind}" in form
    }
    given = {"capacity": capacity, "on_shrink": form.get("on_shrink") or record.session.on_shrink}
    modality = record.session.modality

    async def work() -> Session:
        return await commands.patch_session(db, desk.instance, session_id, given, expected=version_of(form))

    session, problem = await tried(db, work)
    if session is not None:
        return done(f"/coordination/seances/{session_id}", "capacity")
    if isinstance(problem, Stale):
        return done(f"/coordination/seances/{session_id}", "stale")
    if isinstance(problem, Malformed):
        errors = FormErrors()
        for item in problem.errors:
            errors.add(_seats_field(item.field, modality), item.message)
        return await _page(desk, db, await _record(db, session_id), errors, 422)
    assert problem is not None
    raise problem


def _seats_field(path: str, modality: str) -> str:
    """Where a mistake of the plan stands in the form of the seats: with the number of that kind."""
    kind = "online" if modality == "online" or path.endswith("/online") else "on_site"
    return f"capacity/{kind}" if path.partition("/")[0] in ("capacity", "held_seats") else ""


@router.post("/supprimer")
async def delete(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    """A draft that nobody needs; asked once on the session's page."""
    form = await read_form(request)
    record = await _record(db, session_id)
    tour_id = record.session.tour_id

    async def work() -> bool:
        await commands.delete_session(db, session_id, expected=version_of(form))
        return True

    deleted, problem = await tried(db, work)
    if deleted:
        back = f"/coordination/tournees/{tour_id}" if tour_id else "/coordination/seances"
        return done(back, "deleted")
    if isinstance(problem, Stale):
        return done(f"/coordination/seances/{session_id}", "stale")
    assert problem is not None
    raise problem


@router.post("/animation")
async def assign(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    """`add` or `remove` names a trainer. A clash is said, not forbidden: the coordinator may know better."""
    form = await read_form(request)
    back = f"/coordination/seances/{session_id}"
    if (added := id_of(form.get("add", ""))) is not None:
        await commands.assign_trainer(db, session_id, added)
        return done(back, "assigned")
    if (removed := id_of(form.get("remove", ""))) is not None:
        await commands.unassign_trainer(db, session_id, removed)
        return done(back, "unassigned")
    await _record(db, session_id)
    return done(back, "unchanged")


# --- What the page shows ----------------------------------------------------------------------------------


async def _record(db: AsyncSession, session_id: UUID) -> Record:
    record = await lists.record(db, session_id)
    if record is None:
        raise UnknownSession
    return record


async def _busy(
    desk: Desk, db: AsyncSession, session: Session, trainers: list[Trainer]
) -> dict[UUID, list[LazyString]]:
    """Per trainer, why they can't well deliver this session."""
    if session.status not in queries.LIVE or session.ends_at_utc <= desk.now:
        return {}
    found = await queries.would_clash(db, session, [trainer.id for trainer in trainers])
    other_ids = list({_other(clash, session.id) for clash in found})
    rows = {row.id: row for row in await queries.rows_of(db, other_ids, desk.home_zone, desk.language)}
    names = {trainer.id: trainer.name for trainer in trainers}
    sentences: dict[UUID, list[LazyString]] = {}
    for clash in found:
        other: SessionRow = rows[_other(clash, session.id)]
        said = busy_sentence(clash, names[clash.trainer_id], other, desk.language)
        sentences.setdefault(clash.trainer_id, []).append(said)
    return sentences


def _other(clash: Clash, session_id: UUID) -> UUID:
    return clash.second.session_id if clash.first.session_id == session_id else clash.first.session_id


@dataclass(frozen=True, slots=True)
class Fact:
    term: LazyString
    value: Words


def _facts(record: Record, language: str) -> list[Fact]:
    """The plan in words; what was left open isn't shown."""
    session = record.session
    known: list[tuple[LazyString, Words | None]] = [
        (_("Volet"), vocabularies.label("streams", session.stream, language)),
        (_("Sorte d’activité"), labels.label(labels.KINDS, session.kind)),
        (_("Thème"), vocabularies.label("themes", session.theme, language) if session.theme else None),
        (_("Niveau"), vocabularies.label("levels", session.level, language) if session.level else None),
        (_("Langue"), labels.label(labels.LANGUAGES, session.language)),
        (
            _("Animé par"),
            vocabularies.label("delivered_by", session.delivered_by, language)
            if session.delivered_by
            else None,
        ),
        (_("Pour qui, en quelques mots"), session.audience),
        (_("Région"), vocabularies.region_name(session.region, language) if session.region else None),
        (_("Fuseau horaire"), ZONES.get(session.timezone, session.timezone)),
        (_("Lien de la vidéo"), session.online_url),
        (_("À apporter"), session.bring or None),
        (_("Notes pour l’équipe"), session.staff_notes or None),
    ]
    return [Fact(term, value) for term, value in known if value]


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of what happened to a session; `at` is wall time at home, `text` what happened."""

    at: datetime
    text: LazyString


def _history(session: Session, desk: Desk) -> list[Moment]:
    """What the row remembers of its life, oldest first."""
    found = [(session.created_at, _("Brouillon créé"))]
    if session.published_at is not None:
        found.append((session.published_at, _("Publiée")))
    if session.cancelled_at is not None:
        found.append((session.cancelled_at, _("Annulée")))
    elif session.updated_at > max(at for at, _text in found):
        found.append(
            (session.updated_at, _("Dernier changement (version %(number)s)", number=session.version))
        )
    home = zone(desk.home_zone)
    return [Moment(at.astimezone(home), text) for at, text in sorted(found, key=lambda item: item[0])]


@dataclass(frozen=True, slots=True)
class KindOfSeat:
    """The seats of one kind in a hybrid session, as registrations counted them."""

    name: LazyString | str
    taken: int
    capacity: int
    available: int
    held: int
    waitlisted: int


def _by_kind(record: Record) -> list[KindOfSeat]:
    """One line per kind of seat; nothing for a session that has one kind, or wasn't counted yet."""
    kinds = KINDS.get(record.session.modality, ())
    counted = record.seats.by_kind if record.seats is not None else {}
    if len(kinds) < 2 or not all(kind in counted for kind in kinds):
        return []
    return [
        KindOfSeat(
            name=labels.MODALITIES[kind],
            taken=counted[kind]["confirmed"] + counted[kind]["offered"],
            capacity=counted[kind]["capacity"],
            available=counted[kind]["available"],
            held=counted[kind]["held"],
            waitlisted=counted[kind]["waitlisted"],
        )
        for kind in kinds
    ]


def _held(session: Session, language: str) -> list[LazyString]:
    """Seats kept for a channel, then when they become everybody's, as sentences."""
    both = len(KINDS.get(session.modality, ())) > 1
    found = [
        _(
            "%(seats)s pour %(channel)s%(kind)s",
            seats=item["seats"],
            channel=CHANNEL_NAMES.get(item["channel"], item["channel"]),
            kind=_kind(item["seat_kind"]) if both else "",
        )
        for item in session.held_seats
    ]
    place = zone(session.timezone)
    return found + [
        _(
            "%(seats)s de moins pour %(channel)s%(kind)s dès le %(moment)s",
            seats=release.seats,
            channel=CHANNEL_NAMES.get(release.channel, release.channel),
            kind=_kind(release.seat_kind) if both else "",
            moment=formats.at(release.at.astimezone(place), language),
        )
        for release in releases_of(session)
    ]


def _kind(seat_kind: str) -> LazyString:
    return _(" (en ligne)") if seat_kind == "online" else _(" (sur place)")


def _window(session: Session, language: str) -> list[LazyString]:
    """When people can register, where that isn't simply from publication to the start."""
    place = zone(session.timezone)
    found = []
    if session.opens_at is not None:
        found.append(
            _(
                "Inscriptions dès le %(moment)s.",
                moment=formats.at(session.opens_at.astimezone(place), language),
            )
        )
    if session.closes_at is not None:
        moment = formats.at(session.closes_at.astimezone(place), language)
        found.append(_("Inscriptions jusqu’au %(moment)s.", moment=moment))
    if session.draw_closes_at is not None:
        moment = formats.at(session.draw_closes_at.astimezone(place), language)
        found.append(_("Tirage au sort le %(moment)s.", moment=moment))
    return found
