"""What the first national page shows, put together from the figures: no waiting, no database, no clock."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

from libs import vocabularies
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext, translate
from services.national import labels, tiles
from services.national.charts import Chart, Row
from services.national.demand import Counts, RegionFigures, Worth, region_figures
from services.national.figures import STATES, Figures, Outcomes
from services.national.filters import NO_REGION, Filters, link
from services.national.freshness import Heard, Hearing, Standing
from services.national.incomplete import PACKAGE, concerned, incomplete, listed
from services.national.searching import folded

PAGE: Final = "/national"
FIRST_REGIONS: Final = 10
Words = LazyString | str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number to read across the room, what it counts, and the indicator whose definition it follows."""

    text: str
    label: LazyString
    indicator: str


@dataclass(frozen=True, slots=True)
class RegionRow:
    """A line of the map's table. Texts are « – » where nothing can be said; `note` says why."""

    figures: RegionFigures
    mark: str
    name: Words
    href: str
    sessions: str
    registered: str
    waiting: str
    taken: str
    note: Words | None


REGION_SORTS: Final[Mapping[str, Callable[[RegionFigures], float | str]]] = {
    "code": lambda row: row.code,
    "sessions": lambda row: row.counts.sessions,
    "registered": lambda row: row.counts.confirmed,
    "waiting": lambda row: row.counts.waiting,
    "taken": lambda row: row.counts.taken or 0.0,
}
DEFAULT_SORT: Final = "-waiting"
NOTHING: Final = "–"


class Today:
    """The page for one question, in one language."""

    def __init__(
        self, figures: Figures, outcomes: Outcomes, hearing: Hearing, filters: Filters, language: str
    ) -> None:
        self.found, self.outcomes, self.hearing = figures, outcomes, hearing
        self.filters, self.language = filters, language
        self.number = partial(formats.number, language=language)
        codes = [region.code for region in vocabularies.regions()]
        # A newer instance's region is kept and shown, in the table: the drawing has no square for it.
        strangers = sorted(set(figures.regions) - set(codes) - {""})
        self.regions = [self._region(code) for code in (*codes, *strangers)]
        if "" in figures.regions:
            total = sum(figures.regions[""].values(), Counts())
            self.regions.append(RegionFigures(NO_REGION, Worth.KNOWN, total))

    def _region(self, code: str) -> RegionFigures:
        by_instance = self.found.regions.get(code, {})
        if self.filters.instance:
            mine = [one for one in self.hearing.instances if one.slug == self.filters.instance]
            return region_figures(
                code, Hearing(self.hearing.now, tuple(mine)), by_instance, self.filters.stream
            )
        return region_figures(code, self.hearing, by_instance, self.filters.stream)

    def say(self, text: Words) -> str:
        return translate(text, self.language, PACKAGE)

    # Numbers first

    def figures(self, *, to_come: bool) -> list[Figure]:
        total = self.found.total
        taken = total.taken
        unknown = total.sessions == 0 and not self._anybody_heard()
        texts = [self.number(value) for value in (total.sessions, total.confirmed, total.waiting)]
        if unknown:
            texts = [NOTHING] * 3
        share = formats.percent(round(taken), self.language) if taken is not None else NOTHING
        sessions = (
            ngettext("séance à venir", "séances à venir", total.sessions)
            if to_come
            else ngettext("séance", "séances", total.sessions)
        )
        waiting = ngettext("demande en attente d’une place", "demandes en attente d’une place", total.waiting)
        return [
            Figure(texts[0], sessions, "I1"),
            Figure(texts[1], ngettext("inscription", "inscriptions", total.confirmed), "I4"),
            Figure(texts[2], waiting, "I9"),
            Figure(share, _("des places prises"), "I8"),
        ]

    def _anybody_heard(self) -> bool:
        return any(
            one.received_at is not None and not one.shares_nothing(self.filters.stream)
            for one in self.concerned
        )

    @property
    def concerned(self) -> list[Heard]:
        return concerned(self.hearing, self.filters)

    def incomplete(self) -> list[LazyString]:
        return incomplete(self.hearing, self.filters, self.language)

    def uncounted(self) -> str:
        """Who doesn't share what came of participations."""
        names = [one.name for one in self.concerned if one.shares_nothing(self.filters.stream, "counts")]
        return listed(names, self.language) if names else ""

    # The map and its table

    def map(self) -> dict[str, tiles.Tile]:
        by_code = {row.code: row for row in self.regions}
        ends = self.breaks()
        return {square.code: self._tile(by_code[square.code], ends) for square in tiles.squares()}

    def breaks(self) -> list[int]:
        return tiles.breaks(row.counts.waiting for row in self.regions if row.worth is Worth.KNOWN)

    def legend(self) -> list[tuple[int, str]]:
        """(step, « de 6 à 15 ») for each step that has room for a whole number."""
        greatest = max((row.counts.waiting for row in self.regions if row.worth is Worth.KNOWN), default=0)
        found, first = [], 0
        for step, end in enumerate(self.breaks(), 1):
            last = min(end, greatest)
            if first <= last:
                ends = (self.number(first), self.number(last))
                found.append((step, ends[0] if first == last else f"{ends[0]}–{ends[1]}"))
            first = end + 1
        return found

    def _tile(self, row: RegionFigures, ends: Sequence[int]) -> tiles.Tile:
        waiting = row.counts.waiting
        name = self.say(labels.region(row.code, self.language))
        note = self.note(row, short=True)
        if row.worth is Worth.OFFLINE:
            # A last known nought would look like « nobody waits ».
            text = f"{self._short(waiting)}\u202f?" if waiting else "?"
        elif row.worth is Worth.KNOWN:
            text = self._short(waiting)
        else:
            text = NOTHING
        return tiles.Tile(
            text=text,
            about=self.say(_("%(name)s : %(note)s", name=name, note=note)) if note else "",
            kind=row.worth.value,
            step=tiles.step_of(waiting, ends),
            chosen=row.code == self.filters.region,
        )

    def _short(self, value: int) -> str:
        """As a tile has room for: beyond 9,999 in thousands."""
        return self.number(value) if value < 10_000 else f"{self.number(round(value / 1000))}\u00a0k"

    def note(self, row: RegionFigures, *, short: bool = False) -> LazyString | None:
        """Why a region's figure isn't what it seems; `short` where the figure itself says that it is old."""
        if row.worth is Worth.NOBODY:
            return _("aucun réseau relié")
        if row.worth is Worth.UNSHARED:
            return _("non partagé")
        if row.worth is Worth.OFFLINE:
            silent = row.because[0]
            if silent.received_at is None:
                return _("jamais entendu, ce n’est pas zéro")
            since = formats.elapsed(silent.silence(self.hearing.now), self.language)
            if silent.standing(self.hearing.now) is Standing.SUSPENDED:
                return _("suspendu, derniers chiffres connus")
            if short:
                return _("hors ligne depuis %(time)s", time=since)
            return _("hors ligne depuis %(time)s, derniers chiffres connus", time=since)
        if row.partly:
            return _("un volet n’est pas partagé")
        return None

    def table(self, sort: str) -> list[RegionRow]:
        """Every region, the known ones in order; those of which nothing can be said stand last."""
        name, down = sort.removeprefix("-"), sort.startswith("-")
        key = self._name_key if name == "name" else REGION_SORTS[name]
        said = [row for row in self.regions if row.worth in {Worth.KNOWN, Worth.OFFLINE}]
        rest = [row for row in self.regions if row not in said]
        ordered = sorted(said, key=lambda row: row.code)
        ordered.sort(key=key, reverse=down)
        return [self._row(row) for row in (*ordered, *rest)]

    def _name_key(self, row: RegionFigures) -> str:
        return folded(self.say(labels.region(row.code, self.language)))

    def _row(self, row: RegionFigures) -> RegionRow:
        counts = row.counts
        said = row.worth is Worth.KNOWN or (row.worth is Worth.OFFLINE and counts.sessions > 0)
        taken = formats.percent(round(counts.taken), self.language) if counts.taken is not None else NOTHING
        return RegionRow(
            figures=row,
            mark=row.code.removeprefix("CA-") if row.code != NO_REGION else "",
            name=labels.region(row.code, self.language),
            href=link(PAGE, self.filters, region=row.code),
            sessions=self.number(counts.sessions) if said else NOTHING,
            registered=self.number(counts.confirmed) if said else NOTHING,
            waiting=self.number(counts.waiting) if said else NOTHING,
            taken=taken if said else NOTHING,
            note=self.note(row),
        )

    def most_wanted(self) -> str:
        """« Laval (95), Estrie (66) et Outaouais (66) »: what the map says at a glance."""
        known = [row for row in self.regions if row.worth is Worth.KNOWN and row.counts.waiting]
        first = sorted(known, key=lambda row: (-row.counts.waiting, row.code))[:3]
        names = [
            f"{self.say(labels.region(row.code, self.language))} ({self.number(row.counts.waiting)})"
            for row in first
        ]
        return formats.listing(names, self.language) if names else ""

    # Charts

    def charts(self) -> list[Chart]:
        """Registrations, and those who wait, by month, theme, volet and modality."""
        found, language = self.found, self.language
        months = [(self._month(month), counts) for month, counts in sorted(found.months.items())]
        by_theme = self._named(found.themes, lambda id_: labels.theme(id_, language))
        by_stream = self._named(found.streams, lambda id_: labels.label(labels.STREAMS, id_))
        by_modality = self._named(found.modalities, lambda id_: labels.label(labels.MODALITIES, id_))
        return [
            self._registrations("mois", _("Par mois"), _("Mois"), months),
            self._registrations("sujet", _("Par sujet"), _("Sujet"), by_theme),
            self._registrations("volet", _("Par volet"), _("Volet"), by_stream),
            self._registrations("modalite", _("Par modalité"), _("Modalité"), by_modality),
        ]

    def _named(self, counts: Mapping[str, Counts], words: Callable[[str], Words]) -> list[tuple[str, Counts]]:
        ordered = sorted(counts.items(), key=lambda item: (-item[1].confirmed, item[0]))
        return [(self.say(words(id_)), one) for id_, one in ordered]

    def _registrations(
        self, id_: str, title: LazyString, head: LazyString, counts: Iterable[tuple[str, Counts]]
    ) -> Chart:
        rows = tuple(
            Row(label, (one.confirmed, one.waiting), self._sum(one.confirmed, one.waiting))
            for label, one in counts
        )
        series = (_("Inscriptions"), _("En attente"))
        return self._chart(id_, title, head, series, rows)

    def _sum(self, first: int, second: int) -> str:
        return f"{self.number(first)} + {self.number(second)}" if second else self.number(first)

    def outcome_charts(self) -> list[Chart]:
        """How participations ended, and those that took place by month; helped without registering apart."""
        states = self.outcomes.states
        ended = tuple(
            Row(self.say(labels.OUTCOMES[state]), (states.get(state, 0),), self.number(states.get(state, 0)))
            for state in STATES
            if states.get(state) or state in {"attended", "absent", "cancelled"}
        )
        months = sorted(self.outcomes.months)
        took_part = tuple(
            Row(self._month(month), values, self._sum(*values))
            for month in months
            for values in [(self.outcomes.months[month]["attended"], self.outcomes.walk_ins.get(month, 0))]
        )
        participations = (_("Personnes inscrites et présentes"), _("Aide sans inscription"))
        return [
            self._chart("devenir", _("Ce que sont devenues les inscriptions"), _("Suite"),
                (_("Inscriptions"),), ended),
            self._chart("participations", _("Participations par mois"), _("Mois"), participations, took_part),
        ]  # fmt: skip

    def _chart(
        self,
        id_: str,
        title: LazyString,
        head: LazyString,
        series: Sequence[LazyString],
        rows: tuple[Row, ...],
    ) -> Chart:
        most = max(rows, key=lambda row: row.total, default=None)
        description = (
            _("Le plus : %(label)s, %(value)s.", label=most.label, value=most.text)
            if most is not None and most.total
            else _("Il n’y a encore rien à montrer.")
        )
        return Chart(
            id=id_,
            title=self.say(title),
            description=self.say(description),
            head=self.say(head),
            series=tuple(self.say(words) for words in series),
            rows=rows,
        )

    def _month(self, month: date) -> str:
        """« sept. 2026 »: short enough to stand beside a bar."""
        return formats.short_month(month, self.language)
