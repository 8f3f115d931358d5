"""Writing sessions: a new one, the whole of one, or its time and place; asking before people are told."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed, Problem
from services.events import commands
from services.events import queries as lists
from services.events.coordination import queries, reaching, session_form
from services.events.coordination.consequences import Known, Told, only_the_link, told
from services.events.coordination.desk import Desk, desk_of, id_asked, id_of, once, tried
from services.events.coordination.forms import FormView, Option, Spec, Typed, errors_of, read_typed
from services.events.coordination.merging import Values, differences, is_as_seen, merged
from services.events.coordination.rows import venue_name
from services.events.coordination.session_form import HOME_ZONE
from services.events.coordination.words import done
from services.events.inputs import MOST_RELEASES
from services.events.models import Activity, Session, Stop, Tour, Venue
from services.events.problems import SessionCancelled, SessionHeld, Stale, UnknownSession
from services.events.schedule import Window, times
from services.events.views import Record

router = APIRouter(prefix="/coordination/seances", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Way:
    """One of the two forms that change a session: the whole of it, or its time and place."""

    path: str
    template: str
    only: tuple[str, ...] = ()

    def spec(self, form: Form | None, session: Session | None) -> Spec:
        return session_form.spec(session_form.release_rows(form, session), self.only)


_WHOLE = _Way("modifier", "session_form.html")
_MOVE = _Way("deplacer", "session_move.html", (*session_form.SCHEDULE_FIELDS, "reason"))


# --- A new session ----------------------------------------------------------------------------------------


@router.get("/nouvelle")
async def new_session(request: Request, db: Reading, staff: Staff) -> Response:
    """An empty form, or one filled from a template, a stop, a tour or another session."""
    desk = await desk_of(request, db)
    values = await _starting_values(request, db)
    return await _form_page(desk, db, _Screen(_WHOLE, values, _WHOLE.spec(None, None)))


@router.post("/nouvelle")
async def create_session(request: Request, db: Transaction, staff: Staff) -> Response:
    """Save a draft, and publish it at once if asked."""
    desk, form = await desk_of(request, db), await read_form(request)
    spec = _WHOLE.spec(form, None)
    typed = read_typed(form, spec, {})
    session_form.fill_lines(typed.values, session_form.release_rows(form, None), typed.values["modality"])
    screen = _Screen(_WHOLE, typed.values, spec, form=form, form_id=form.get("form_id"))
    if _asks_for_help(typed):
        return await _helped(desk, db, screen, typed)
    zone = await _zone(db, typed.values)
    fields = session_form.given(typed.values, zone, screen.errors)
    if screen.errors:
        return await _form_page(desk, db, screen, 422)
    key = once(request, staff, await request.body())
    known = await key.known(db)
    if known is not None:
        return done(f"/coordination/seances/{known['id']}", known["done"])

    async def work() -> Session:
        session = await commands.create_session(db, fields)
        await _assign(db, session.id, set(), set(typed.values["trainers"].split()))
        if typed.action == "publish":
            await commands.publish_session(db, desk.instance, session.id)
        return session

    session, problem = await tried(db, work)
    if session is None:
        assert problem is not None
        return await _refused(desk, db, screen, problem)
    what = "published" if typed.action == "publish" else "created"
    await key.keep(db, {"id": str(session.id), "done": what})
    return done(f"/coordination/seances/{session.id}", what)


async def _starting_values(request: Request, db: AsyncSession) -> dict[str, str]:
    values = session_form.defaults()
    copied = id_asked(request, "copy")
    record = await lists.record(db, copied) if copied else None
    if record is not None:
        return session_form.from_session(record.session, record.venue, record.trainer_ids)
    activity = await _get(db, Activity, id_asked(request, "activity"))
    stop = await _get(db, Stop, id_asked(request, "stop"))
    tour = await _get(db, Tour, id_asked(request, "tour"))
    if activity is not None:
        values = session_form.from_activity(activity, values)
    if stop is not None:
        values = session_form.from_stop(stop, values)
    elif tour is not None:
        values = session_form.from_tour(tour, values)
    return values


# --- The session's own forms ------------------------------------------------------------------------------


@router.get("/{session_id}/modifier")
async def edit_session(request: Request, db: Reading, staff: Staff, session_id: UUID) -> Response:
    return await _show(request, db, session_id, _WHOLE)


@router.post("/{session_id}/modifier")
async def save_session(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    return await _change(request, db, session_id, _WHOLE)


@router.get("/{session_id}/deplacer")
async def move_session(request: Request, db: Reading, staff: Staff, session_id: UUID) -> Response:
    return await _show(request, db, session_id, _MOVE)


@router.post("/{session_id}/deplacer")
async def save_move(request: Request, db: Transaction, staff: Staff, session_id: UUID) -> Response:
    return await _change(request, db, session_id, _MOVE)


async def _show(request: Request, db: AsyncSession, session_id: UUID, way: _Way) -> Response:
    desk = await desk_of(request, db)
    record = await _editable(db, session_id)
    values = session_form.from_session(record.session, record.venue, record.trainer_ids)
    spec = way.spec(None, record.session)
    screen = _Screen(way, values, spec, record=record, version=record.session.version)
    return await _form_page(desk, db, screen)


async def _change(request: Request, db: AsyncSession, session_id: UUID, way: _Way) -> Response:
    """Save what was changed, once the people concerned have been thought of."""
    desk, form = await desk_of(request, db), await read_form(request)
    record = await _editable(db, session_id)
    session = record.session
    spec = way.spec(form, session)
    typed = read_typed(form, spec, session_form.from_session(session, record.venue, record.trainer_ids))
    if way is _WHOLE:
        rows = session_form.release_rows(form, session)
        for values in (typed.base, typed.values):
            session_form.fill_lines(values, rows, typed.base.get("modality", ""))
    screen = _Screen(
        way, typed.values, spec, form=form, record=record, base=typed.base, version=typed.version
    )
    if _asks_for_help(typed):
        return await _helped(desk, db, screen, typed)
    # Fields that this form doesn't show are those of the session.
    everything = typed.base | typed.values
    changed = typed.changed - {"reason"}
    zone = await _zone(db, everything)
    fields = session_form.given(everything, zone, screen.errors)
    if screen.errors:
        return await _form_page(desk, db, screen, 422)
    if not changed:
        return done(f"/coordination/seances/{session_id}", "unchanged")
    work = _Work(desk, db, record, typed, session_form.changed_only(fields, changed))
    outcome, problem = await tried(db, work.move if way is _MOVE else work.edit)
    if isinstance(problem, Stale):
        # A version rises too when the venue or the tour is renamed: what the form shows is still so.
        record = await _editable(db, session_id)
        theirs = session_form.from_session(record.session, record.venue, record.trainer_ids)
        if is_as_seen(spec, typed.base, theirs):
            screen = replace(screen, record=record, version=record.session.version)
            work = replace(work, record=record, typed=replace(typed, version=record.session.version))
            outcome, problem = await tried(db, work.move if way is _MOVE else work.edit)
    if isinstance(problem, Stale):
        return await _versions_page(desk, db, screen, session_id)
    if isinstance(problem, _MustAsk):
        return await _ask(desk, db, screen, problem, session_id)
    if outcome is None:
        assert problem is not None
        return await _refused(desk, db, screen, problem)
    return done(f"/coordination/seances/{session_id}", outcome[0], outcome[1])


@dataclass(frozen=True, slots=True)
class _Work:
    """The change itself; raises `_MustAsk`, which undoes it, when people would be told unasked."""

    desk: Desk
    db: AsyncSession
    record: Record
    typed: Typed
    fields: dict[str, Any]

    async def edit(self) -> tuple[str, int | None]:
        before = _known(self.record.session, self.record.venue)
        given = self.fields | {"reason": self.typed.values.get("reason") or None}
        session = await commands.patch_session(
            self.db, self.desk.instance, self.record.session.id, given, expected=self.typed.version
        )
        was, now = (set(side.get("trainers", "").split()) for side in (self.typed.base, self.typed.values))
        await _assign(self.db, session.id, was, now)
        return await self._told(before, session, "saved")

    async def move(self) -> tuple[str, int | None]:
        before = _known(self.record.session, self.record.venue)
        values = self.typed.base | self.typed.values
        errors = FormErrors()
        zone = await _zone(self.db, values)
        starts_at, ends_at = session_form.schedule(values, zone, errors)
        leaves = await _leaves_stop(self.db, self.record.session, starts_at, ends_at, zone)
        venue_id = values.get("venue_id") if "venue_id" in self.typed.changed else None
        given = {
            "starts_at": starts_at,
            "ends_at": ends_at,
            "timezone": zone,
            "venue_id": venue_id or None,
            "reason": values.get("reason") or None,
            "leave_stop": leaves is not None,
        }
        session = await commands.reschedule_session(
            self.db, self.desk.instance, self.record.session.id, given, expected=self.typed.version
        )
        return await self._told(before, session, "moved", leaves)

    async def _told(
        self, before: Known, session: Session, plain: str, leaves: LazyString | None = None
    ) -> tuple[str, int | None]:
        if session.status != "published":
            return plain, None
        venue = await _get(self.db, Venue, session.venue_id)
        after = _known(session, venue)
        changes = told(before, after, self.desk.language)
        if not changes:
            return "saved", None
        reach = self.record.reach.by_route if self.record.reach is not None else {}
        people = reaching.people(reach)
        alone = only_the_link(changes, before, after)
        if not self.typed.confirmed:
            raise _MustAsk(changes=changes, only_link=alone, leaves=leaves)
        return ("moved" if plain == "moved" else "changed"), (None if alone else people)


class _MustAsk(Problem):
    """People would be told, and nobody has said yes to that."""


async def _leaves_stop(
    db: AsyncSession, session: Session, starts_at: Any, ends_at: Any, zone: str
) -> LazyString | None:
    """A session that moves off its stop's days leaves the stop: the sentence that says so, or None."""
    stop = await _get(db, Stop, session.stop_id)
    if stop is None or starts_at is None or ends_at is None:
        return None
    when, _errors = times(starts_at, ends_at, zone)
    if when is None or Window(stop.first_date, stop.last_date).holds(when):
        return None
    return _("La séance ne fera plus partie de l’étape : ce n’est plus le même jour.")


# --- Asking, refusing, comparing --------------------------------------------------------------------------


async def _ask(
    desk: Desk, db: AsyncSession, screen: "_Screen", found: _MustAsk, session_id: UUID
) -> Response:
    """How many people, by which route, what they will read; then yes, or back to the form."""
    record = await _editable(db, session_id)
    reach = record.reach.by_route if record.reach is not None else {}
    people: LazyString = reaching.told(reach)
    if found.only_link and reaching.people(reach):
        people = _("Seules les personnes confirmées en ligne recevront le nouveau lien.")
    changes: list[Told] = found.changes  # type: ignore[assignment]  # as raised above
    view = await _view(desk, db, replace(screen, record=record))
    return desk.page(
        "change_confirm.html",
        form=view,
        session=record.session,
        way=screen.way,
        changes=changes,
        people=people,
        leaves=found.leaves,
        count=reaching.people(reach),
        errors=FormErrors(),
    )


async def _refused(desk: Desk, db: AsyncSession, screen: "_Screen", problem: Problem) -> Response:
    """The form again, with what the command found; a refusal that isn't about a field stands at the top."""
    session = screen.record.session if screen.record is not None else None
    if session is not None:
        # What the command wrote was undone, and the row must be read again.
        screen = replace(screen, record=await _editable(db, session.id))
    names = session_form.names({**(screen.base or {}), **screen.values})
    if isinstance(problem, Malformed):
        screen.errors.update(errors_of(problem, names, screen.spec))
    else:
        screen.errors.add("", problem.detail or problem.title)
    return await _form_page(desk, db, screen, problem.status)


async def _versions_page(desk: Desk, db: AsyncSession, screen: "_Screen", session_id: UUID) -> Response:
    """Somebody else was faster: theirs and yours side by side, and a form that lays them together."""
    record = await _editable(db, session_id)
    theirs = session_form.from_session(record.session, record.venue, record.trainer_ids)
    base = screen.base or {}
    found = differences(screen.spec, base, theirs, screen.values)
    both = replace(
        screen,
        values=merged(base, theirs, screen.values),
        base=theirs,
        version=record.session.version,
        record=record,
    )
    view = await _view(desk, db, both, names_for=(base, theirs, screen.values))
    return desk.page(
        "versions.html",
        412,
        form=view,
        differences=found,
        title=record.session.title,
        action=f"/coordination/seances/{session_id}/{screen.way.path}",
        back=f"/coordination/seances/{session_id}",
        changed_at=record.session.updated_at,
    )


async def _editable(db: AsyncSession, session_id: UUID) -> Record:
    record = await lists.record(db, session_id)
    if record is None:
        raise UnknownSession
    way_out: dict[str, Any] = {
        "next_href": f"/coordination/seances/{session_id}",
        "next_label": _("Voir la séance"),
    }
    if record.session.status == "cancelled":
        raise SessionCancelled(**way_out)
    if record.session.status == "held":
        raise SessionHeld(**way_out)
    return record


# --- Help inside the form ---------------------------------------------------------------------------------


def _asks_for_help(typed: Typed) -> bool:
    """Another button than save: look for a venue, take a template, more lines, look at the form again.

    Enter in a field presses the first button, `enter`: it looks for what was typed for the venue.
    """
    wanted = typed.form.get("venue_q", "")
    looked = wanted == typed.form.get("venue_q_done", "")
    return typed.action in {"venue", "activity", "releases", "form"} or (
        typed.action == "enter" and bool(wanted) and not looked
    )


async def _helped(desk: Desk, db: AsyncSession, screen: "_Screen", typed: Typed) -> Response:
    if typed.action == "activity":
        activity = await _get(db, Activity, id_of(typed.form.get("activity", "")))
        if activity is not None:
            screen = replace(screen, values=session_form.from_activity(activity, screen.values))
    return await _form_page(desk, db, screen)


@dataclass(frozen=True, slots=True)
class _Screen:
    """A form on its way to the page. `record` is the session that it changes, None for a new one."""

    way: _Way
    values: Values
    spec: Spec
    form: Form = field(default_factory=Form)
    record: Record | None = None
    base: dict[str, str] | None = None
    version: int | None = None
    form_id: str | None = None
    errors: FormErrors = field(default_factory=FormErrors)


async def _form_page(desk: Desk, db: AsyncSession, screen: _Screen, status: int = 200) -> HTMLResponse:
    view = await _view(desk, db, screen)
    session = screen.record.session if screen.record is not None else None
    activities = (await lists.things_page(db, Activity, limit=queries.MANY)).items
    return desk.page(
        screen.way.template,
        status,
        form=view,
        errors=screen.errors,
        session=session,
        reach=screen.record.reach.by_route if screen.record is not None and screen.record.reach else {},
        activities=[("", _("Aucune"))] + [(str(item.id), item.title) for item in activities],
        venue_q=screen.form.get("venue_q", ""),
        seat_kinds=session_form.SEAT_KINDS,
        channels=session_form.CHANNELS,
        channel_names=session_form.CHANNEL_NAMES,
        most_releases=MOST_RELEASES,
        asks_releases=screen.form.get("action") == "releases",
        release_lines=sum(
            1 for name in screen.spec if name.endswith("/seats") and name.startswith("releases/")
        ),
    )


async def _view(
    desk: Desk, db: AsyncSession, screen: _Screen, names_for: tuple[Values, ...] = ()
) -> FormView:
    """`names_for`: other values that the page shows, whose ids need their names too."""
    values = screen.values
    zone = await _zone(db, {**(screen.base or {}), **values})
    every = (*names_for, values)
    options = session_form.options(values, zone, desk.language)
    options["venue_id"] = await _venue_options(db, every, screen.form.get("venue_q", ""))
    options["trainers"] = session_form.trainer_options(await queries.all_trainers(db))
    options["tour_id"], options["stop_id"] = await _tour_options(db, every)
    options["activity_id"] = await _activity_options(db, every)
    view = FormView(
        screen.spec, values, options, errors=screen.errors, base=screen.base, version=screen.version
    )
    return replace(view, form_id=screen.form_id) if screen.form_id else view


async def _venue_options(db: AsyncSession, every: tuple[Values, ...], wanted: str) -> list[Option]:
    """The venues chosen so far, then those that the words find."""
    ids = [id_of(values.get("venue_id", "")) for values in every]
    chosen = [venue for id_ in ids if (venue := await _get(db, Venue, id_)) is not None]
    found = await queries.venues_found(db, wanted[:100]) if wanted else []
    return list(dict.fromkeys((str(venue.id), venue_name(venue)) for venue in (*chosen, *found)))


async def _tour_options(db: AsyncSession, every: tuple[Values, ...]) -> tuple[list[Option], list[Option]]:
    tours = (
        await lists.things_page(
            db, Tour, conditions=[col(Tour.status).in_(("draft", "published"))], limit=queries.MANY
        )
    ).items
    wanted = {id_ for values in every if (id_ := id_of(values.get("tour_id", "")))}
    known = {tour.id for tour in tours}
    tours += [tour for id_ in wanted - known if (tour := await _get(db, Tour, id_)) is not None]
    stops: list[Option] = []
    for id_ in wanted:
        for stop, venue in await queries.stops_with_venues(db, id_):
            stops.append((str(stop.id), f"{stop.position}. {venue_name(venue)}"))
    first: list[Option] = [("", _("Hors tournée"))]
    return (
        first + [(str(tour.id), tour.title) for tour in tours],
        [("", _("Hors étape")), *stops],
    )


async def _activity_options(db: AsyncSession, every: tuple[Values, ...]) -> list[Option]:
    ids = {id_ for values in every if (id_ := id_of(values.get("activity_id", "")))}
    found = [activity for id_ in ids if (activity := await _get(db, Activity, id_)) is not None]
    return [(str(activity.id), activity.title) for activity in found]


# --- Small reads and writes -------------------------------------------------------------------------------


async def _get(db: AsyncSession, kind: type[Any], id_: UUID | None) -> Any:
    return await db.get(kind, id_) if id_ is not None else None


async def _zone(db: AsyncSession, values: Values) -> str:
    venue = await _get(db, Venue, id_of(values.get("venue_id", "")))
    return session_form.zone_of(values, venue) or HOME_ZONE


async def _assign(db: AsyncSession, session_id: UUID, was: set[str], now: set[str]) -> None:
    """Only what this form changed: somebody else may have assigned another person meanwhile."""
    for text in sorted(now - was):
        if (trainer_id := id_of(text)) is not None:
            await commands.assign_trainer(db, session_id, trainer_id)
    for text in sorted(was - now):
        if (trainer_id := id_of(text)) is not None:
            await commands.unassign_trainer(db, session_id, trainer_id)


def _known(session: Session, venue: Venue | None) -> Known:
    return Known(
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        starts_at_utc=session.starts_at_utc,
        ends_at_utc=session.ends_at_utc,
        timezone=session.timezone,
        modality=session.modality,
        venue_id=session.venue_id,
        place=venue_name(venue) if venue is not None else None,
        online_url=session.online_url,
    )
