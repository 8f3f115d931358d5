"""When a session is, and what a plan of seats must satisfy: pure rules, errors in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from libs.clock import UnknownZone, zone
from libs.web.i18n import LazyString, _
from libs.web.validation import FieldError

LONGEST = timedelta(hours=24)
"""One session; a series of evenings is several sessions."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "on_site": ("on_site",),
    "online": ("online",),
    "hybrid": ("on_site", "online"),
}
"""Which kinds of seat a modality has."""
BY_REGISTRATION = frozenset({"web", "phone", "desk"})
"""The ways to take part that need a seat counted here."""


class BadTime(ValueError):
    """A wall time that can't be placed; `message` says why and what to write instead."""

    def __init__(self, message: LazyString) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Moment:
    """A wall time in a zone and the instant that it names."""

    wall: datetime
    utc: datetime


def moment(value: datetime, timezone: str) -> Moment:
    """Place `value` in `timezone`, by the pinned tzdata.

    A naive value is wall time; one with an offset must be right for the zone at that moment, and is
    needed only in the hour that a clock change repeats. Raises `BadTime`.
    """
    wall = value.replace(tzinfo=None, fold=0)
    possible = offsets(wall, timezone)
    if not possible:
        raise BadTime(
            _("Cette heure n’existe pas : l’horloge avance ce jour-là. Choisissez une autre heure.")
        )
    given = value.utcoffset()
    if given is not None and given not in possible:
        raise BadTime(
            _(
                "Le décalage %(given)s ne va pas avec ce fuseau. À ce moment, c’est %(right)s.",
                given=_offset(given),
                right=_either(possible),
            )
        )
    if given is None and len(possible) > 1:
        raise BadTime(
            _(
                "Cette heure revient deux fois : l’horloge recule ce jour-là."
                " Précisez le décalage : %(choices)s.",
                choices=_either(possible),
            )
        )
    return Moment(wall, (wall - (possible[0] if given is None else given)).replace(tzinfo=UTC))


def offsets(wall: datetime, timezone: str) -> tuple[timedelta, ...]:
    """The UTC offsets that make `wall` real in `timezone`: none in a gap, two in a repeated hour.

    Raises `BadTime` for an unknown zone.
    """
    try:
        place = zone(timezone)
    except UnknownZone as error:
        raise BadTime(_("Ce fuseau horaire est inconnu.")) from error
    found: list[timedelta] = []
    for fold in (0, 1):
        local = wall.replace(tzinfo=place, fold=fold)
        offset = local.utcoffset()
        assert offset is not None
        try:
            returned = local.astimezone(UTC).astimezone(place).replace(tzinfo=None)
        except OverflowError as error:
            raise BadTime(_("Cette date est hors du calendrier.")) from error
        if returned == wall and offset not in found:
            found.append(offset)
    return tuple(found)


def instant(value: datetime, timezone: str) -> datetime:
    """`value` in UTC: wall time of `timezone`, or any moment with its own offset. Raises `BadTime`."""
    if value.utcoffset() is None:
        return moment(value, timezone).utc
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise BadTime(_("Cette date est hors du calendrier.")) from error


def local(utc: datetime, timezone: str) -> datetime:
    """The instant `utc` as `timezone` shows it, with its offset."""
    return utc.astimezone(zone(timezone))


@dataclass(frozen=True, slots=True)
class Times:
    starts: Moment
    ends: Moment
    timezone: str


def times(starts_at: datetime, ends_at: datetime, timezone: str) -> tuple[Times | None, list[FieldError]]:
    """Both moments of a session, or what is wrong with them, under the names of the API's fields."""
    errors: list[FieldError] = []
    moments: list[Moment] = []
    for name, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        try:
            moments.append(moment(value, timezone))
        except BadTime as error:
            errors.append(FieldError(name, error.message))
    if errors:
        return None, errors
    starts, ends = moments
    if ends.utc <= starts.utc:
        errors.append(FieldError("ends_at", _("La fin doit venir après le début.")))
    elif ends.utc - starts.utc > LONGEST:
        errors.append(
            FieldError("ends_at", _("Une séance dure au plus 24 heures. Faites plutôt plusieurs séances."))
        )
    return (None, errors) if errors else (Times(starts, ends, timezone), [])


@dataclass(frozen=True, slots=True)
class Held:
    """Seats of one kind kept for one channel."""

    seat_kind: str
    channel: str
    seats: int


@dataclass(frozen=True, slots=True)
class Release:
    """From the instant `at` on, `seats` of those held for `channel` belong to everybody."""

    at: datetime
    seat_kind: str
    channel: str
    seats: int


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """What a session plans: seats per kind, those held, their releases, and when registration is open."""

    modality: str
    capacity: Mapping[str, int]
    held: Sequence[Held] = ()
    releases: Sequence[Release] = ()
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    draw_closes_at: datetime | None = None
    registration_modes: Sequence[str] = field(default=("web", "phone", "desk"))


def check_plan(plan: SeatPlan, when: Times) -> list[FieldError]:
    """What contradicts itself in a plan of seats, under the names of the API's fields.

    A plan that passes keeps its promise at every instant: the seats held of a kind never exceed its
    capacity, nothing is released twice or that isn't held, and each step comes while it still matters.
    """
    return [
        *_check_capacity(plan),
        *_check_held(plan),
        *_check_releases(plan, when),
        *_check_window(plan, when),
        *_check_draw(plan, when),
    ]


DRAW_PAUSE = timedelta(minutes=10)
"""From the closing of a draw to the draw, in `registrations`."""


def _check_draw(plan: SeatPlan, when: Times) -> list[FieldError]:
    at = plan.draw_closes_at
    if at is None:
        return []
    field, errors = "waitlist/draw/closes_at", []
    if at + DRAW_PAUSE >= when.starts.utc:
        errors.append(FieldError(field, _("Fermez le tirage plus de 10 minutes avant le début.")))
    if plan.opens_at is not None and at <= plan.opens_at:
        errors.append(FieldError(field, _("Fermez le tirage après l’ouverture des inscriptions.")))
    if not BY_REGISTRATION & set(plan.registration_modes):
        errors.append(FieldError(field, _("Un tirage au sort demande des inscriptions.")))
    return errors


_NO_SUCH_SEATS = _("Cette modalité n’a pas de places de cette sorte.")
_NOT_NEGATIVE = _("Un nombre de places ne peut pas être négatif.")


def _check_capacity(plan: SeatPlan) -> list[FieldError]:
    kinds = KINDS.get(plan.modality, ())
    errors = []
    for kind, seats in plan.capacity.items():
        if kind not in kinds and seats:
            errors.append(FieldError(f"capacity/{kind}", _NO_SUCH_SEATS))
        elif seats < 0:
            errors.append(FieldError(f"capacity/{kind}", _NOT_NEGATIVE))
    if BY_REGISTRATION & set(plan.registration_modes) and not any(
        plan.capacity.get(kind, 0) for kind in kinds
    ):
        errors.append(FieldError("capacity", _("Prévoyez au moins une place.")))
    return errors


def _check_held(plan: SeatPlan) -> list[FieldError]:
    errors = []
    kinds = KINDS.get(plan.modality, ())
    per_kind: Counter[str] = Counter()
    for held in plan.held:
        per_kind[held.seat_kind] += held.seats
        if held.seats < 0:
            errors.append(FieldError(f"held_seats/{held.seat_kind}/{held.channel}", _NOT_NEGATIVE))
    for kind, seats in per_kind.items():
        capacity = plan.capacity.get(kind, 0)
        # Where there is one kind of seat, nobody names it.
        field_ = "held_seats" if kinds == (kind,) else f"held_seats/{kind}"
        if kind not in kinds:
            errors.append(FieldError(field_, _NO_SUCH_SEATS))
        elif seats > capacity:
            message = _(
                "Il y a trop de places gardées : %(held)s sur %(capacity)s.", held=seats, capacity=capacity
            )
            errors.append(FieldError(field_, message))
    return errors


def _check_releases(plan: SeatPlan, when: Times) -> list[FieldError]:
    errors = []
    held: Counter[tuple[str, str]] = Counter()
    for item in plan.held:
        held[item.seat_kind, item.channel] += item.seats
    released: Counter[tuple[str, str]] = Counter()
    steps: set[tuple[str, str, datetime]] = set()
    for number, release in enumerate(plan.releases):
        pool, step = (release.seat_kind, release.channel), (release.seat_kind, release.channel, release.at)
        released[pool] += release.seats
        mistake = _moment_of_release(release, plan, when)
        if mistake is None and step in steps:
            mistake = _("Cette libération est déjà là. Réunissez les deux en une seule.")
        if mistake is not None:
            errors.append(FieldError(f"releases/{number}/at", mistake))
        if release.seat_kind not in KINDS.get(plan.modality, ()):
            errors.append(FieldError(f"releases/{number}/seat_kind", _NO_SUCH_SEATS))
        elif not held[pool]:
            message = _("Aucune place n’est gardée pour ce canal. Gardez-en d’abord.")
            errors.append(FieldError(f"releases/{number}/channel", message))
        elif release.seats < 1:
            errors.append(FieldError(f"releases/{number}/seats", _("Libérez au moins une place.")))
        elif released[pool] > held[pool]:
            message = _(
                "Vous libérez trop de places : %(released)s sur %(held)s gardées pour ce canal.",
                released=released[pool],
                held=held[pool],
            )
            errors.append(FieldError(f"releases/{number}/seats", message))
        steps.add(step)
    return errors


def _moment_of_release(release: Release, plan: SeatPlan, when: Times) -> LazyString | None:
    """What is wrong with the moment. One that has passed is fine: those seats are everybody's already."""
    if release.at > when.starts.utc:
        return _("Libérez ces places avant le début de la séance.")
    if plan.opens_at is not None and release.at < plan.opens_at:
        return _("Libérez ces places après l’ouverture des inscriptions, ou ne les gardez pas.")
    return None


def _check_window(plan: SeatPlan, when: Times) -> list[FieldError]:
    errors = []
    if plan.opens_at is not None and plan.opens_at >= when.ends.utc:
        errors.append(FieldError("opens_at", _("Ouvrez les inscriptions avant la fin de la séance.")))
    if plan.closes_at is not None and plan.closes_at > when.ends.utc:
        errors.append(FieldError("closes_at", _("Fermez les inscriptions avant la fin de la séance.")))
    if plan.opens_at is not None and plan.closes_at is not None and plan.closes_at <= plan.opens_at:
        errors.append(FieldError("closes_at", _("La fermeture doit venir après l’ouverture.")))
    return errors


@dataclass(frozen=True, slots=True)
class Window:
    """The first and last local date on which something may stand."""

    first: date
    last: date

    def holds(self, when: Times) -> bool:
        # A session that ends at midnight sharp belongs to the day before.
        last = (when.ends.wall - timedelta(microseconds=1)).date()
        return self.first <= when.starts.wall.date() and last <= self.last


def check_windows(
    when: Times, stream: str, tour: Mapping[str, Window], stop: Window | None
) -> list[FieldError]:
    """Whether a session stands within its tour's window for its stream, and within its stop's dates.

    A stream without a window is free; a tour without any window too.
    """
    window = tour.get(stream)
    if window is not None and not window.holds(when):
        message = _(
            "La tournée accueille ce volet du %(first)s au %(last)s seulement.",
            first=window.first.isoformat(),
            last=window.last.isoformat(),
        )
        return [FieldError("starts_at", message)]
    if stop is not None and not stop.holds(when):
        message = _(
            "Cette étape va du %(first)s au %(last)s.",
            first=stop.first.isoformat(),
            last=stop.last.isoformat(),
        )
        return [FieldError("starts_at", message)]
    return []


def moved_releases(releases: Sequence[Release], new_start: datetime) -> list[Release]:
    """The releases of a session that moves: none may come later than its new start.

    Steps of one pool that meet there become one.
    """
    steps: Counter[tuple[datetime, str, str]] = Counter()
    for release in releases:
        steps[min(release.at, new_start), release.seat_kind, release.channel] += release.seats
    return [Release(at, kind, channel, seats) for (at, kind, channel), seats in steps.items()]


def _offset(value: timedelta) -> str:
    """`-05:00`, as RFC 3339 writes it."""
    minutes = round(value.total_seconds() / 60)
    sign, minutes = ("-" if minutes < 0 else "+"), abs(minutes)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"


def _either(values: Sequence[timedelta]) -> LazyString:
    first, *rest = (_offset(value) for value in values)
    return _("%(first)s ou %(second)s", first=first, second=rest[0]) if rest else LazyString(first)
