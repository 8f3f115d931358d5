"""What a request asks of the national pages: its filters, the instances at this moment, and today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs import vocabularies
from libs.clock import utc_now, zone
from libs.web.forms import FormErrors
from libs.web.i18n import LazyString, _
from services.national import labels, periods
from services.national.figures import hearing
from services.national.filters import NO_REGION, Filters, read_filters
from services.national.freshness import Hearing
from services.national.periods import Period

HOME: Final = "America/Toronto"
"""The zone of national staff's clocks: a session's own times are always those of its place."""
Choices = Sequence[tuple[str, LazyString | str]]


@dataclass(frozen=True, slots=True)
class Question:
    filters: Filters
    mistakes: FormErrors
    period: Period
    hearing: Hearing
    now: datetime
    """The instant of what is to come; `hearing.now` is the database's, for how long ago something was."""
    today: date


async def ask(request: Request, session: AsyncSession) -> Question:
    """Read the request's filters; a value that can't be understood is named and left out, never fatal."""
    now = utc_now()
    today = now.astimezone(zone(HOME)).date()
    filters, mistakes = read_filters(request.query_params, today)
    heard = await hearing(session)
    return Question(filters, mistakes, filters.period_on(today), heard, now, today)


def choices(question: Question, language: str) -> dict[str, Choices]:
    """What each filter offers; what the address asks for is among it, though nobody here knows it."""
    chosen = question.filters
    offered: dict[str, list[tuple[str, LazyString | str]]] = {
        "period": list(periods.offered(question.today)),
        "stream": list(labels.choices(labels.STREAMS, _("Les deux volets"))),
        "theme": [("", _("Tous les sujets")), *vocabularies.choices("themes", language)],
        "modality": list(labels.choices(labels.MODALITIES, _("Toutes"))),
        "region": [
            ("", _("Tout le pays")),
            *vocabularies.region_choices(language),
            (NO_REGION, _("Sans région")),
        ],
        "language": list(labels.choices(labels.LANGUAGES, _("Toutes"))),
        "instance": [
            ("", _("Tous les réseaux")),
            *((one.slug, one.name) for one in question.hearing.instances),
        ],
    }
    for name, pairs in offered.items():
        value = getattr(chosen, name)
        if value not in dict(pairs):
            pairs.append((value, period_words(value) if name == "period" else value))
    return {name: tuple(pairs) for name, pairs in offered.items()}


def period_words(code: str) -> LazyString | str:
    """The words for a period that the list doesn't offer; a month stands for itself."""
    _year, _sep, rest = code.partition("-")
    return code if rest.isdigit() else periods.words(code)
