"""Words of the coordinators' pages: states, clashes, gaps, and what has just been done."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse

from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext, translate
from services.events.coordination.rows import SessionRow
from services.events.planning import Clash, TourView

Words = LazyString | str

STATUSES: Mapping[str, LazyString] = {
    "draft": _("Brouillon"),
    "published": _("Publiée"),
    "held": _("Terminée"),
    "cancelled": _("Annulée"),
    "closed": _("Close"),
}
STATUS_COLOURS: Mapping[str, str] = {
    "draft": "info",
    "published": "free",
    "held": "past",
    "cancelled": "cancelled",
    "closed": "past",
}
ZONES: Mapping[str, LazyString] = {
    "America/Toronto": _("Heure de l’Est (Québec, Toronto)"),
    "America/Halifax": _("Heure de l’Atlantique (Îles-de-la-Madeleine, Halifax)"),
    "America/Moncton": _("Heure de l’Atlantique (Nouveau-Brunswick)"),
    "America/Goose_Bay": _("Heure de l’Atlantique (Labrador)"),
    "America/Blanc-Sablon": _("Heure de Blanc-Sablon, la même toute l’année"),
    "America/St_Johns": _("Heure de Terre-Neuve (St. John’s)"),
    "America/Winnipeg": _("Heure du Manitoba (Winnipeg)"),
    "America/Regina": _("Heure de la Saskatchewan, la même toute l’année"),
    "America/Edmonton": _("Heure de l’Alberta (Edmonton, Calgary)"),
    "America/Yellowknife": _("Heure des Territoires du Nord-Ouest (Yellowknife)"),
    "America/Vancouver": _("Heure de la Colombie-Britannique (Vancouver)"),
    "America/Whitehorse": _("Heure du Yukon, la même toute l’année"),
    "America/Iqaluit": _("Heure d’Iqaluit (Nunavut)"),
}

# What has just been done, said once at the top of the page that follows it.

_Said = Callable[[int], LazyString]
DONE: Mapping[str, LazyString | _Said] = {
    "created": _("Brouillon enregistré. Le public ne le voit pas encore."),
    "saved": _("C’est enregistré."),
    "unchanged": _("Rien n’a changé : vous n’avez rien modifié."),
    "published": _("La séance est publiée. Les inscriptions peuvent commencer."),
    "moved": lambda n: _with_told(_("La séance est déplacée."), n),
    "changed": lambda n: _with_told(_("La séance est modifiée."), n),
    "cancelled": lambda n: _with_told(_("La séance est annulée."), n),
    "capacity": _("Le nombre de places est changé."),
    "deleted": _("Le brouillon est supprimé."),
    "assigned": _("La personne animera cette séance."),
    "unassigned": _("La personne n’anime plus cette séance."),
    "several": lambda n: ngettext("%(count)s séance est annulée.", "%(count)s séances sont annulées.", n),
    "tour-created": _("La tournée est créée. Ajoutez sa première étape."),
    "tour-copied": lambda n: ngettext(
        "La tournée est copiée, avec %(count)s séance. C’est un brouillon.",
        "La tournée est copiée, avec %(count)s séances. C’est un brouillon.",
        n,
    ),
    "tour-published": lambda n: ngettext(
        "La tournée est publiée, avec %(count)s séance de plus au calendrier.",
        "La tournée est publiée, avec %(count)s séances de plus au calendrier.",
        n,
    ),
    "tour-cancelled": lambda n: ngettext(
        "La tournée est annulée, avec %(count)s séance.",
        "La tournée est annulée, avec %(count)s séances.",
        n,
    ),
    "tour-deleted": _("La tournée est supprimée."),
    "stop-added": _("L’étape est ajoutée."),
    "stop-moved": _("L’ordre des étapes est changé."),
    "stop-removed": _("L’étape est retirée."),
    "sessions-added": lambda n: ngettext(
        "%(count)s brouillon est ajouté à l’étape.", "%(count)s brouillons sont ajoutés à l’étape.", n
    ),
    "stale": _("Quelqu’un a changé cette séance entre-temps. Relisez-la, puis recommencez."),
    "venue": lambda n: _with_told(_("Le lieu est modifié."), n),
}


def _with_told(sentence: LazyString, people: int) -> LazyString:
    if not people:
        return sentence
    following = ngettext(
        "%(count)s personne en est avertie.", "%(count)s personnes en sont averties.", people
    )
    return _("%(sentence)s %(following)s", sentence=sentence, following=following)


def done(path: str, what: str, count: int | None = None) -> RedirectResponse:
    """To `path` once the work is committed (303), where `notice_of` says what was done."""
    query: dict[str, str | int] = {"fait": what} | ({} if count is None else {"nombre": count})
    return RedirectResponse(f"{path}?{urlencode(query)}", 303)


def notice_of(request: Request) -> LazyString | None:
    """What `done` named; an address that somebody made up says nothing."""
    said = DONE.get(request.query_params.get("fait", ""))
    if said is None or isinstance(said, LazyString):
        return said
    count = request.query_params.get("nombre", "")
    return said(int(count) if count.isascii() and count.isdigit() and len(count) < 7 else 0)


# Clashes and gaps


def clash_sentence(clash: Clash, trainer: str, rows: Mapping[UUID, SessionRow], language: str) -> LazyString:
    """« Marie est demandée à deux endroits, mardi 8 décembre : … »"""
    first, second = rows[clash.first.session_id], rows[clash.second.session_id]
    if clash.overlapping:
        return _(
            "%(trainer)s est à deux endroits en même temps, %(day)s : %(first)s, et %(second)s.",
            trainer=trainer,
            day=formats.day(first.starts_at, language),
            first=_engagement(first, language),
            second=_engagement(second, language),
        )
    return _(
        "%(trainer)s n’a pas le temps de la route, %(day)s : %(first)s, puis %(second)s."
        " Il manque %(missing)s.",
        trainer=trainer,
        day=formats.day(first.starts_at, language),
        first=_engagement(first, language),
        second=_engagement(second, language),
        missing=_missing(clash, language),
    )


def busy_sentence(clash: Clash, trainer: str, other: SessionRow, language: str) -> LazyString:
    """The same from one session's side: « Marie est déjà prise de 13 h à 15 h : Le courriel (Lévis). »"""
    hours = formats.time_range(other.starts_at, other.ends_at, language)
    if clash.overlapping:
        return _(
            "%(trainer)s est déjà ailleurs %(hours)s : « %(title)s », %(place)s.",
            trainer=trainer,
            hours=hours,
            title=other.title,
            place=other.place,
        )
    return _(
        "%(trainer)s manque de temps pour la route : « %(title)s », %(place)s, %(hours)s."
        " Il manque %(missing)s.",
        trainer=trainer,
        title=other.title,
        place=other.place,
        hours=hours,
        missing=_missing(clash, language),
    )


def _engagement(row: SessionRow, language: str) -> LazyString:
    return _(
        "« %(title)s » %(hours)s, %(place)s",
        title=row.title,
        hours=formats.time_range(row.starts_at, row.ends_at, language),
        place=row.place,
    )


def _missing(clash: Clash, language: str) -> str:
    return formats.duration(clash.missing, language)


def gaps(view: TourView, language: str) -> list[str]:
    """Working days in a tour without a stop or a session, those that follow each other as one."""
    runs: list[list[date]] = []
    for day in (day for week in view.weeks for day in week.days if day.is_gap):
        if runs and _follows(runs[-1][-1], day.date):
            runs[-1].append(day.date)
        else:
            runs.append([day.date])
    return [_gap(run, language) for run in runs]


def _follows(last: date, day: date) -> bool:
    """The next working day: a weekend between two gaps doesn't part them."""
    return day - last <= timedelta(days=3 if last.weekday() == 4 else 1)


def _gap(run: Sequence[date], language: str) -> str:
    if len(run) == 1:
        return formats.day(run[0], language)
    between = _(
        "du %(first)s au %(last)s", first=formats.day(run[0], language), last=formats.day(run[-1], language)
    )
    return translate(between, language)
