"""A session as a form: from its row to the fields, and from the fields back to what the commands take."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from libs import vocabularies
from libs.clock import zone as named_zone
from libs.vocabularies import Vocabulary
from libs.web import formats
from libs.web.forms import Form, FormErrors
from libs.web.i18n import LazyString, _
from services.events import labels
from services.events.coordination.forms import Field, Option, Spec
from services.events.coordination.merging import Values
from services.events.coordination.words import ZONES
from services.events.inputs import MOST_RELEASES
from services.events.models import Activity, Session, Stop, Tour, Trainer, Venue
from services.events.plans import as_input
from services.events.schedule import BadTime, offsets

HOME_ZONE = "America/Toronto"
CHANNELS = ("phone", "desk", "partner", "email", "paper", "web")
SEAT_KINDS = ("on_site", "online")
MORE_RELEASES = 3
"""So many lines come when more are asked for."""

_FIELDS: Mapping[str, Field] = {
    "title": Field(_("Titre")),
    "stream": Field(_("Volet")),
    "kind": Field(_("Sorte d’activité")),
    "theme": Field(_("Thème")),
    "level": Field(_("Niveau")),
    "language": Field(_("Langue")),
    "delivered_by": Field(_("Animé par")),
    "audience": Field(_("Pour qui, en quelques mots")),
    "description": Field(_("Description")),
    "bring": Field(_("À apporter")),
    "modality": Field(_("Sur place ou en ligne")),
    "venue_id": Field(_("Lieu")),
    "online_url": Field(_("Lien de la vidéo")),
    "region": Field(_("Région")),
    "date": Field(_("Date")),
    "start": Field(_("Début")),
    "start/offset": Field(_("Laquelle des deux heures de début ?")),
    "end": Field(_("Fin")),
    "end/offset": Field(_("Laquelle des deux heures de fin ?")),
    "end_date": Field(_("Date de fin, si c’est un autre jour")),
    "timezone": Field(_("Fuseau horaire")),
    "capacity/on_site": Field(_("Places sur place")),
    "capacity/online": Field(_("Places en ligne")),
    "registration_modes": Field(_("Comment s’inscrire"), many=True),
    "opens_at": Field(_("Ouverture des inscriptions")),
    "opens_at/offset": Field(_("Laquelle des deux heures d’ouverture ?")),
    "closes_at": Field(_("Fermeture des inscriptions")),
    "closes_at/offset": Field(_("Laquelle des deux heures de fermeture ?")),
    "waitlist/policy": Field(_("Ordre de la liste d’attente")),
    "waitlist/draw/closes_at": Field(_("Fermeture du tirage au sort")),
    "waitlist/draw/closes_at/offset": Field(_("Laquelle des deux heures de fermeture du tirage ?")),
    "waitlist/draw/first_time_lots": Field(_("Chances d’une personne qui n’a encore eu aucune place")),
    "waitlist/offer_hours": Field(_("Heures pour répondre à une offre")),
    "waitlist/limit": Field(_("Au plus en attente")),
    "reconfirm/days": Field(_("Jours avant pour demander si la personne vient toujours")),
    "reconfirm/silence": Field(_("Si la personne ne répond pas")),
    "party/limit": Field(_("Personnes qui s’inscrivent ensemble, au plus")),
    "party/gather_hours": Field(_("Heures pour réunir des places pour un groupe")),
    "party/companion_takes_seat": Field(_("La personne qui accompagne quelqu’un pour l’aider")),
    "on_shrink": Field(_("S’il y a moins de places que de personnes")),
    "staff_notes": Field(_("Notes pour l’équipe")),
    "reason": Field(_("Pourquoi ?")),
    "trainers": Field(_("Qui anime"), many=True),
    "activity_id": Field(_("Activité")),
    "tour_id": Field(_("Tournée")),
    "stop_id": Field(_("Étape")),
}
SCHEDULE_FIELDS = (
    "date", "start", "start/offset", "end", "end/offset", "end_date", "timezone", "venue_id",
)  # fmt: skip
"""What a move changes."""


def spec(rows: int, only: Iterable[str] = ()) -> Spec:
    """The form's fields with `rows` lines of releases; `only` those named, if any are."""
    names = list(only)
    if names:
        return {name: _FIELDS[name] for name in names}
    found = dict(_FIELDS)
    for kind in SEAT_KINDS:
        for channel in CHANNELS:
            found[f"held_seats/{kind}/{channel}"] = Field(_held_label(kind, channel))
    for number in range(rows):
        place = number + 1
        found |= {
            f"releases/{number}/at": Field(_("Libération %(place)s : quand", place=place)),
            f"releases/{number}/at/offset": Field(
                _("Libération %(place)s : laquelle des deux heures ?", place=place)
            ),
            f"releases/{number}/seat_kind": Field(_("Libération %(place)s : sorte de places", place=place)),
            f"releases/{number}/channel": Field(_("Libération %(place)s : gardées pour", place=place)),
            f"releases/{number}/seats": Field(_("Libération %(place)s : combien", place=place)),
        }
    return found


def _held_label(kind: str, channel: str) -> LazyString:
    shown = CHANNEL_NAMES[channel]
    if kind == "online":
        return _("Places en ligne gardées pour : %(channel)s", channel=shown)
    return _("Places sur place gardées pour : %(channel)s", channel=shown)


CHANNEL_NAMES: Mapping[str, LazyString] = {
    "phone": _("le téléphone"),
    "desk": _("le comptoir"),
    "partner": _("un organisme référent"),
    "email": _("le courriel"),
    "paper": _("le papier"),
    "web": _("le formulaire Web"),
}


def release_rows(form: Form | None, session: Session | None) -> int:
    """How many lines of releases the form needs: those in use and two to fill, or more where asked for.

    Beyond MOST_RELEASES there are only lines that somebody filled, for the command to refuse.
    """
    stored = len(session.releases) if session is not None else 0
    lines: dict[int, bool] = {stored: True}
    sent = form or Form()
    for name in sent:
        if found := _RELEASE.match(name):
            line = int(found[1]) + 1
            lines[line] = lines.get(line, False) or bool(sent[name])
    used = max(line for line, filled in lines.items() if filled)
    asked = sent.get("action") == "releases"
    return max(used, min(max(lines) + MORE_RELEASES if asked else used + 2, MOST_RELEASES))


_RELEASE = re.compile(r"releases/(\d{1,2})/(?:at|seats)$")


def fill_lines(values: dict[str, str], rows: int, modality: str) -> None:
    """A line that wasn't shown before says nothing yet: its choices stand where a new line has them."""
    for name, value in _empty_lines("online" if modality == "online" else "on_site", rows).items():
        values[name] = values.get(name) or value


# --- From a session to the form ---------------------------------------------------------------------------


def defaults() -> dict[str, str]:
    """A new session before anybody said anything of it."""
    return {
        "stream": "public",
        "kind": "workshop",
        "language": "fr",
        "modality": "on_site",
        "start": "13:30",
        "end": "15:30",
        "capacity/on_site": "12",
        "registration_modes": "web phone desk",
        "waitlist/policy": "first_come",
        "waitlist/draw/first_time_lots": "1",
        "waitlist/offer_hours": "24",
        "reconfirm/days": "7",
        "reconfirm/silence": "keep",
        "party/limit": "1",
        "party/gather_hours": "24",
        "party/companion_takes_seat": "yes",
        "on_shrink": "keep",
        **_empty_lines("on_site"),
    }


def _empty_lines(seat_kind: str, rows: int = MOST_RELEASES) -> dict[str, str]:
    """What the choices of a line of releases show before anybody chose."""
    lines = [f"releases/{number}" for number in range(rows)]
    return {f"{line}/seat_kind": seat_kind for line in lines} | {f"{line}/channel": "phone" for line in lines}


def from_activity(activity: Activity, values: Values) -> dict[str, str]:
    """`values` with what the template says."""
    start = _time(values.get("start", ""))
    length = timedelta(minutes=activity.duration_minutes)
    end = (datetime(2000, 1, 1, start.hour, start.minute) + length) if start else None  # noqa: DTZ001
    return dict(values) | {
        "activity_id": str(activity.id),
        "title": activity.title,
        "description": activity.description,
        "bring": activity.bring,
        "kind": activity.kind,
        "stream": activity.stream,
        "theme": activity.theme or "",
        "level": activity.level or "",
        "language": activity.language,
        "delivered_by": activity.delivered_by or "",
        "audience": activity.audience or "",
        "capacity/on_site": str(activity.capacity),
        "end": f"{end:%H:%M}" if end is not None and end.day == 1 else values.get("end", ""),
    }


def from_stop(stop: Stop, values: Values) -> dict[str, str]:
    """`values` at a stop: its tour, its venue, its first day."""
    return dict(values) | {
        "stop_id": str(stop.id),
        "tour_id": str(stop.tour_id),
        "venue_id": str(stop.venue_id),
        "date": stop.first_date.isoformat(),
    }


def from_tour(tour: Tour, values: Values) -> dict[str, str]:
    return dict(values) | {"tour_id": str(tour.id), "region": tour.region or ""}


def from_session(session: Session, venue: Venue | None, trainers: Iterable[UUID]) -> dict[str, str]:
    """The session's fields as the form shows them. Wall times are those of its own zone."""
    known = as_input(session)
    values = _empty_lines("online" if session.modality == "online" else "on_site")
    for name in _FIELDS:
        value = known.get(name)
        if isinstance(value, (str, UUID)):
            values[name] = str(value)
    same_zone = venue is not None and venue.timezone == session.timezone
    values |= {
        "date": session.starts_at.date().isoformat(),
        "start": f"{session.starts_at:%H:%M}",
        "end": f"{session.ends_at:%H:%M}",
        "end_date": (
            session.ends_at.date().isoformat() if session.ends_at.date() != session.starts_at.date() else ""
        ),
        "start/offset": _offset_of(known["starts_at"], session.timezone),
        "end/offset": _offset_of(known["ends_at"], session.timezone),
        "timezone": "" if same_zone else session.timezone,
        "capacity/on_site": str(session.capacity_on_site),
        "capacity/online": str(session.capacity_online),
        "registration_modes": " ".join(session.registration_modes),
        "waitlist/policy": session.waitlist_policy,
        "waitlist/draw/first_time_lots": str(session.draw_first_time_lots),
        "waitlist/offer_hours": f"{session.waitlist_offer_hours:g}",
        "reconfirm/days": "" if session.reconfirm_days is None else str(session.reconfirm_days),
        "reconfirm/silence": session.reconfirm_silence,
        "waitlist/limit": "" if session.waitlist_limit is None else str(session.waitlist_limit),
        "party/limit": str(session.party_limit),
        "party/gather_hours": f"{session.party_gather_hours:g}",
        "party/companion_takes_seat": "yes" if session.companion_takes_seat else "no",
        "trainers": " ".join(sorted(str(id_) for id_ in trainers)),
    }
    for name in ("opens_at", "closes_at"):
        values |= _local_values(name, known[name], session.timezone)
    drawn = known["waitlist"]["draw"]
    if drawn is not None:
        values |= _local_values("waitlist/draw/closes_at", drawn["closes_at"], session.timezone)
    for item in session.held_seats:
        values[f"held_seats/{item['seat_kind']}/{item['channel']}"] = str(item["seats"])
    for number, release in enumerate(known["releases"]):
        values |= _local_values(f"releases/{number}/at", release["at"], session.timezone)
        values |= {
            f"releases/{number}/{name}": str(release[name]) for name in ("seat_kind", "channel", "seats")
        }
    return values


def _local_values(name: str, at: datetime | None, zone: str) -> dict[str, str]:
    if at is None:
        return {}
    return {name: f"{at.replace(tzinfo=None):%Y-%m-%dT%H:%M}", f"{name}/offset": _offset_of(at, zone)}


def _offset_of(at: datetime, zone: str) -> str:
    """The offset of a moment in an hour that comes twice; elsewhere nobody needs to say it."""
    offset = at.utcoffset()
    assert offset is not None
    return _signed(offset) if len(offsets(at.replace(tzinfo=None, fold=0), zone)) > 1 else ""


def _signed(offset: timedelta) -> str:
    """`-04:00`."""
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


# --- From the form to the commands ------------------------------------------------------------------------


def zone_of(values: Values, venue: Venue | None) -> str:
    """The zone chosen, or the venue's, or for an online session its region's."""
    chosen = values.get("timezone", "")
    if chosen:
        return chosen
    if venue is not None and values.get("modality") != "online":
        return venue.timezone
    region = vocabularies.region(values.get("region", ""))
    return region.timezone if region is not None else HOME_ZONE


def given(values: Values, zone: str, errors: FormErrors) -> dict[str, Any]:
    """What the form says as `SessionInput` would take it; what can't be read goes to `errors`.

    A field that the modality has no use for (the link of a session in a room) is left out.
    """
    modality = values.get("modality", "")
    in_room, by_video = modality != "online", modality != "on_site"
    plain = (
        "title",
        "description",
        "bring",
        "stream",
        "kind",
        "language",
        "modality",
        "staff_notes",
        "on_shrink",
    )
    choices = ("theme", "level", "delivered_by", "audience", "activity_id", "tour_id", "stop_id")
    found: dict[str, Any] = {name: values.get(name, "") for name in plain}
    found |= {name: values.get(name) or None for name in choices}
    found |= {
        "venue_id": (values.get("venue_id") or None) if in_room else None,
        "online_url": (values.get("online_url") or None) if by_video else None,
        "region": None if in_room else (values.get("region") or None),
        "timezone": zone,
        "capacity": {
            "on_site": whole(values.get("capacity/on_site", ""), 0) if in_room else 0,
            "online": whole(values.get("capacity/online", ""), 0) if by_video else 0,
        },
        "held_seats": _held(values, in_room, by_video),
        "releases": [row for _number, row in releases(values, zone, errors)],
        "opens_at": _instant(values, "opens_at", zone, errors),
        "closes_at": _instant(values, "closes_at", zone, errors),
        "waitlist": {
            "policy": values.get("waitlist/policy") or "first_come",
            "offer_hours": _decimal(values.get("waitlist/offer_hours", "")),
            "limit": whole(values.get("waitlist/limit", ""), None),
            "draw": _draw(values, zone, errors),
        },
        "reconfirm": {
            "days": whole(values.get("reconfirm/days", ""), None),
            "silence": values.get("reconfirm/silence") or "keep",
        },
        "party": {
            "limit": whole(values.get("party/limit", ""), 1),
            "gather_hours": _decimal(values.get("party/gather_hours") or "24"),
            "companion_takes_seat": values.get("party/companion_takes_seat") != "no",
        },
        "registration_modes": values.get("registration_modes", "").split(),
    }
    starts_at, ends_at = schedule(values, zone, errors)
    return found | {"starts_at": starts_at, "ends_at": ends_at}


def schedule(values: Values, zone: str, errors: FormErrors) -> tuple[datetime | None, datetime | None]:
    """The start and the end, with their offset where the hour comes twice."""
    day = _day(values, "date", errors)
    last = _day(values, "end_date", errors) if values.get("end_date") else day
    return (
        _wall(values, "start", day, zone, errors),
        _wall(values, "end", last, zone, errors),
    )


def _draw(values: Values, zone: str, errors: FormErrors) -> dict[str, Any] | None:
    """What is typed of a draw counts where there is one, and nowhere else."""
    if values.get("waitlist/policy") != "draw":
        return None
    closes_at = _instant(values, "waitlist/draw/closes_at", zone, errors)
    if closes_at is None:
        return None
    return {
        "closes_at": closes_at,
        "first_time_lots": whole(values.get("waitlist/draw/first_time_lots", ""), 1),
    }


GROUPS: Mapping[str, tuple[str, ...]] = {
    "starts_at": ("date", "start", "timezone"),
    "ends_at": ("date", "start", "end", "end_date", "timezone"),
    "timezone": (
        "date",
        "start",
        "end",
        "end_date",
        "timezone",
        "opens_at",
        "closes_at",
        "releases",
        "venue_id",
    ),
    "opens_at": ("opens_at", "timezone"),
    "closes_at": ("closes_at", "timezone"),
    "releases": ("releases", "timezone", "modality"),
    "held_seats": ("held_seats", "modality"),
    "capacity": ("capacity", "modality"),
    "venue_id": ("venue_id", "modality"),
    "online_url": ("online_url", "modality"),
    "region": ("region", "modality"),
    "waitlist": ("waitlist",),
    "reconfirm": ("reconfirm",),
    "party": ("party",),
}
"""Which fields of the form decide a field of the commands, beside the one of its own name."""


def changed_only(fields: Mapping[str, Any], changed: Iterable[str]) -> dict[str, Any]:
    """Of everything that the form says only what its author changed: the rest may have changed since."""
    heads = {name.partition("/")[0] for name in changed} - {"trainers"}
    return {name: value for name, value in fields.items() if heads & set(GROUPS.get(name, (name,)))}


def releases(values: Values, zone: str, errors: FormErrors) -> list[tuple[int, dict[str, Any]]]:
    """(line of the form, release) of the lines that say anything."""
    found = []
    for number in range(100):
        own = {name: values.get(f"releases/{number}/{name}", "") for name in ("at", "seats")}
        if f"releases/{number}/at" not in values:
            break
        if not any(own.values()):
            continue
        at = _instant(values, f"releases/{number}/at", zone, errors)
        if at is None:
            errors.add(f"releases/{number}/at", _("Dites quand ces places se libèrent."))
        row = {
            "at": at,
            "seat_kind": (
                values.get(f"releases/{number}/seat_kind") or "on_site"
                if values.get("modality") == "hybrid"
                else _only_kind(values)
            ),
            "channel": values.get(f"releases/{number}/channel") or "phone",
            "seats": whole(own["seats"], 0),
        }
        found.append((number, row))
    return found


def names(values: Values) -> dict[str, str]:
    """Where the commands' fields stand in the form, when they have another name there.

    The commands count the releases that there are; the form's lines may have holes between them.
    """
    kind = _only_kind(values)
    found = {
        "starts_at": "start",
        "ends_at": "end",
        "capacity": f"capacity/{kind}",
        "held_seats": _first_held(values, kind),
        **{f"held_seats/{each}": _first_held(values, each) for each in SEAT_KINDS},
        "waitlist": "waitlist/offer_hours",
        "waitlist/draw": "waitlist/draw/closes_at",
        "party": "party/limit",
    }
    lines = [number for number, _row in releases(values, HOME_ZONE, FormErrors())]
    for place, number in enumerate(lines):
        for part in ("at", "seat_kind", "channel", "seats"):
            found[f"releases/{place}/{part}"] = f"releases/{number}/{part}"
    return found


def _only_kind(values: Values) -> str:
    return "online" if values.get("modality") == "online" else "on_site"


def _first_held(values: Values, kind: str) -> str:
    """The field where somebody who holds too many seats of a kind starts to look."""
    fields = [f"held_seats/{kind}/{channel}" for channel in CHANNELS]
    return next((name for name in fields if values.get(name)), fields[0])


def _held(values: Values, in_room: bool, by_video: bool) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for kind, used in (("on_site", in_room), ("online", by_video)):
        for channel in CHANNELS:
            seats = whole(values.get(f"held_seats/{kind}/{channel}", ""), 0)
            if used and seats != 0:
                found.setdefault(kind, {})[channel] = seats
    return found


def whole(text: str, empty: int | None) -> int | str | None:
    """A whole number as people write it (« 1 200 »); anything else stays text, for the model to refuse."""
    plain = re.sub(r"[\s\u00a0\u202f]", "", text)
    if not plain:
        return empty
    return int(plain) if re.fullmatch(r"-?[0-9]{1,30}", plain) else text


def _decimal(text: str) -> float | str:
    plain = text.replace(",", ".")
    return float(plain) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", plain) else text


def _day(values: Values, name: str, errors: FormErrors) -> datetime | None:
    text = values.get(name, "")
    if not text:
        errors.add(name, _("Donnez la date."))
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007  # a wall date
    except ValueError:
        errors.add(name, _("Cette date n’est pas claire. Écrivez-la comme 2027-02-03."))
        return None


_TIME = re.compile(r"([01]?\d|2[0-3])\s*(?:[:hH]\s*([0-5]\d)?)?(?::[0-5]\d)?")


def _time(text: str) -> datetime | None:
    """`13:30`, « 13 h 30 », « 9 h »: browsers without a time field leave it to the person."""
    found = _TIME.fullmatch(text.replace("\u00a0", " "))
    return datetime(2000, 1, 1, int(found[1]), int(found[2] or 0)) if found else None  # noqa: DTZ001


def _wall(values: Values, name: str, day: datetime | None, zone: str, errors: FormErrors) -> datetime | None:
    text = values.get(name, "")
    clock = _time(text)
    if clock is None:
        errors.add(name, _("Donnez une heure, comme 13:30.") if text else _("Donnez l’heure."))
    if clock is None or day is None:
        return None
    return _placed(values, name, day.replace(hour=clock.hour, minute=clock.minute), zone, errors)


def _instant(values: Values, name: str, zone: str, errors: FormErrors) -> datetime | None:
    text = values.get(name, "")
    if not text:
        return None
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or wall.tzinfo is not None or len(text) < 16:
        errors.add(name, _("Donnez une date et une heure, comme 2027-02-03T13:30."))
        return None
    return _placed(values, name, wall, zone, errors)


def _placed(values: Values, name: str, wall: datetime, zone: str, errors: FormErrors) -> datetime:
    """`wall`, with the offset that was chosen where the hour comes twice. Unreal hours are the commands'."""
    try:
        possible = offsets(wall, zone)
    except BadTime as error:
        errors.add(name, error.message)
        return wall
    if len(possible) < 2:
        return wall
    chosen = values.get(f"{name}/offset", "")
    for offset in possible:
        if chosen == _signed(offset):
            return wall.replace(tzinfo=timezone(offset))
    message = _("Cette heure revient deux fois : l’horloge recule ce jour-là. Dites laquelle des deux.")
    errors.add(f"{name}/offset", message)
    return wall


# --- The choices ------------------------------------------------------------------------------------------


def options(values: Values, zone: str, language: str) -> dict[str, list[Option]]:
    """The choices of each field; where an hour comes twice, also which of the two."""
    found: dict[str, list[Option]] = {
        "stream": _terms("streams", language),
        "kind": list(labels.KINDS.items()),
        "theme": [("", _("Aucun thème")), *_terms("themes", language)],
        "level": [("", _("Sans niveau précis")), *_terms("levels", language)],
        "language": _terms("languages", language),
        "delivered_by": [("", _("Pas encore décidé")), *_terms("delivered_by", language)],
        "modality": list(labels.MODALITIES.items()),
        "region": [("", _("Choisir une région")), *vocabularies.region_choices(language)],
        "timezone": [("", _("Celui du lieu")), *_zones(values)],
        "registration_modes": _terms("registration_modes", language),
        "party/companion_takes_seat": [
            ("yes", _("prend une place comme tout le monde")),
            ("no", _("ne prend pas de place")),
        ],
        "waitlist/policy": [
            ("first_come", _("Dans l’ordre des demandes")),
            ("draw", _("Par tirage au sort")),
        ],
        "waitlist/draw/first_time_lots": [
            ("1", _("Les mêmes que tout le monde")),
            ("2", _("Deux fois plus")),
            ("3", _("Trois fois plus")),
        ],
        "reconfirm/silence": [
            ("keep", _("Elle garde sa place")),
            ("free", _("Sa place est libérée la veille, si elle a été prévenue deux fois")),
        ],
        "on_shrink": [
            ("keep", _("Tout le monde garde sa place")),
            ("ask_volunteers", _("Demander qui veut bien laisser sa place")),
        ],
    }
    lines = [name.rpartition("/")[0] for name in values if _RELEASE.match(name)]
    for number in range(max(MOST_RELEASES, len(lines))):
        found[f"releases/{number}/seat_kind"] = [("on_site", _("sur place")), ("online", _("en ligne"))]
        found[f"releases/{number}/channel"] = list(CHANNEL_NAMES.items())
    moments = ("start", "end", "opens_at", "closes_at", "waitlist/draw/closes_at")
    for name in (*moments, *(f"{line}/at" for line in dict.fromkeys(lines))):
        both = both_hours(values, name, zone, language)
        if both:
            found[f"{name}/offset"] = both
    return found


def _terms(vocabulary: Vocabulary, language: str) -> list[Option]:
    return list(vocabularies.choices(vocabulary, language))


def _zones(values: Values) -> list[Option]:
    known: list[Option] = list(ZONES.items())
    chosen = values.get("timezone", "")
    return known if chosen in ("", *ZONES) else [*known, (chosen, chosen)]


def both_hours(values: Values, name: str, zone: str, language: str) -> list[Option]:
    """Both readings of an hour that comes twice, the earlier first; empty for any other."""
    quiet = FormErrors()
    if name in ("start", "end"):
        day = _day(values, "end_date" if name == "end" and values.get("end_date") else "date", quiet)
        clock = _time(values.get(name, ""))
        wall = day.replace(hour=clock.hour, minute=clock.minute) if day and clock else None
    else:
        read = _instant(dict(values) | {f"{name}/offset": ""}, name, zone, quiet)
        wall = read.replace(tzinfo=None) if read is not None else None
    if wall is None:
        return []
    try:
        possible = offsets(wall, zone)
    except BadTime:
        return []
    if len(possible) < 2:
        return []
    clock_text = formats.time_of_day(wall, language)
    return [
        (
            _signed(possible[0]),
            _("heure avancée : le premier %(time)s, avant le changement", time=clock_text),
        ),
        (_signed(possible[1]), _("heure normale : le second %(time)s, une heure plus tard", time=clock_text)),
    ]


def trainer_options(trainers: Iterable[Trainer]) -> list[Option]:
    return [(str(trainer.id), trainer.name) for trainer in trainers]


def local_now(now: datetime, zone: str) -> datetime:
    """The wall time in `zone`."""
    return now.astimezone(named_zone(zone))
