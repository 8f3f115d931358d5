"""What the registration form lets one choose from, in words, for the public and for the team."""

from collections.abc import Mapping, Sequence
from typing import Any

from libs import vocabularies
from libs.web.i18n import LazyString, _, ngettext
from services.registrations.session_view import SessionView, free_seats
from services.registrations.standing import Standing

STAFF_CHANNELS = ("phone", "desk", "email", "partner", "paper")

_SEAT_KINDS = {"on_site": _("Sur place"), "online": _("En ligne, par vidéo")}
_CHANNELS = {
    "phone": _("Au téléphone"),
    "desk": _("Au comptoir"),
    "email": _("Par courriel"),
    "partner": _("Par un organisme"),
    "paper": _("Sur papier"),
    "web": _("Sur le Web"),
}


def form_choices(language: str) -> Mapping[str, Any]:
    """The vocabularies of the form, as `(id, label)` pairs or options."""
    return {
        "accommodations": [
            _need(id_, label) for id_, label in vocabularies.choices("accommodations", language)
        ],
        "target_groups": vocabularies.choices("target_groups", language),
        "roles": [("staff", _("Personnel")), ("volunteer", _("Bénévole"))],
        "languages": [("fr", "Français"), ("en", "English")],
        "channels": [(id_, _CHANNELS[id_]) for id_ in STAFF_CHANNELS],
    }


def seat_choices(session: SessionView) -> Sequence[Mapping[str, Any]]:
    """On site or online, each with its room; empty where there is nothing to choose."""
    if len(session.kinds) < 2:
        return []
    return [
        {"value": kind, "label": _SEAT_KINDS[kind], "help": _room(session, kind)} for kind in session.kinds
    ]


def party_choices(session: SessionView) -> Sequence[tuple[int, LazyString]]:
    """How many may register together; empty where everybody does so alone."""
    limit = session.facts.party.limit
    return [] if limit == 1 else [(size, people(size)) for size in range(1, limit + 1)]


def people(count: int) -> LazyString:
    return ngettext("%(count)s personne", "%(count)s personnes", count)


def seat_kind_label(kind: str) -> LazyString:
    return _SEAT_KINDS[kind]


def channel_label(channel: str) -> LazyString | str:
    return _CHANNELS.get(channel, channel)


def _room(session: SessionView, kind: str) -> LazyString:
    if session.standing is Standing.DRAW:
        return _("Les places seront tirées au sort.")
    seats = session.by_kind.get(kind)
    if seats is not None and seats.available > 0:
        return free_seats(seats.available)
    waiting = seats.waitlisted if seats is not None else 0
    if not waiting:
        return _("Complet : vous pouvez attendre une place.")
    return ngettext(
        "Complet : une personne attend déjà.", "Complet : %(count)s personnes attendent déjà.", waiting
    )


def _need(id_: str, label: str) -> Mapping[str, Any]:
    help_ = _("Nous communiquerons avec vous pour en parler.") if id_ == "other" else ""
    return {"value": id_, "label": label, "help": help_}
