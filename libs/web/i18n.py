"""Languages: French texts that become English late, and the catalogues they are looked up in."""

import gettext
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from libs.web.incoming import Incoming

if TYPE_CHECKING:
    from starlette.requests import Request

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")
SOURCE: Language = "fr"
COOKIE = "langue"
ROOT = Path(__file__).resolve().parents[2]
SHELL = "libs.web"


@dataclass(frozen=True, slots=True)
class LazyString:
    """A text that a person will read, kept until their language is known.

    `msgid` is the French source. `params` fill `%(name)s` after translation and may be lazy themselves.
    `str()` of it is the French text.
    """

    msgid: str
    plural: str | None = None
    count: int = 0
    params: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return translate(self, SOURCE)


def _(msgid: str, **params: object) -> LazyString:
    """A lazy text: `_("Il reste %(hours)s heures.", hours=3)`."""
    return LazyString(msgid, params=params)


def ngettext(singular: str, plural: str, count: int, **params: object) -> LazyString:
    """A lazy text that depends on a number, which both forms can show as `%(count)s`."""
    return LazyString(singular, plural, count, {"count": count, **params})


class FrenchSource(gettext.NullTranslations):
    """The texts as they are written: in French, zero and one (and 1,5) are singular."""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return msgid1 if abs(n) < 2 else msgid2

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return self.ngettext(msgid1, msgid2, n)


def translate(text: LazyString | str, language: str, package: str | None = None) -> str:
    """`text` in `language`; a plain string is returned as it is.

    `package` (`services.events`) says whose catalogue comes first; without it all of them are searched.
    """
    if isinstance(text, str):
        return text
    catalogue = translations(language, package)
    if text.plural is None:
        translated = catalogue.gettext(text.msgid)
    else:
        translated = catalogue.ngettext(text.msgid, text.plural, text.count)
    if not text.params:
        return translated
    return translated % {
        name: translate(value, language, package) if isinstance(value, LazyString) else value
        for name, value in text.params.items()
    }


@lru_cache(maxsize=64)
def translations(language: str, package: str | None = None) -> gettext.NullTranslations:
    """The texts of `package` in `language`, then the shell's, then the French source.

    Read from the `.po` files once per process; no compiled catalogue has to be kept in step.
    """
    if language == SOURCE or language not in LANGUAGES:
        return FrenchSource()
    chain: list[gettext.NullTranslations] = [
        _read(path) for path in _catalogue_files(language, package) if path.is_file()
    ]
    chain.append(FrenchSource())
    for first, following in pairwise(chain):
        first.add_fallback(following)
    return chain[0]


def _read(path: Path) -> gettext.GNUTranslations:
    with path.open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _catalogue_files(language: str, package: str | None) -> Iterator[Path]:
    if package is not None and package != SHELL:
        yield folder_of(package) / "locale" / f"{language}.po"
    yield folder_of(SHELL) / "locale" / f"{language}.po"
    if package is None:
        found = {path for depth in ("*", "*/*") for path in ROOT.glob(f"{depth}/locale/{language}.po")}
        yield from sorted(found - {folder_of(SHELL) / "locale" / f"{language}.po"})


def folder_of(package: str) -> Path:
    """Where the files of `services.events` are."""
    return ROOT.joinpath(*package.split("."))


def language_of(request: "Request") -> Language:
    """The language of the answer: `?lang=`, then the cookie; machines say `Accept-Language`; else French.

    Pages don't follow `Accept-Language`: French comes first, and the switch stands on every page.
    """
    # Most requests choose nothing: what they didn't send needn't be parsed.
    incoming = Incoming(request.scope)
    if b"lang=" in incoming.scope["query_string"]:
        asked = known_language(request.query_params.get("lang"))
        if asked is not None:
            return asked
    if incoming.has_cookie(COOKIE):
        kept = known_language(request.cookies.get(COOKIE))
        if kept is not None:
            return kept
    if incoming.path.startswith("/api/"):
        return _preferred(incoming.text(b"accept-language") or "")
    return SOURCE


def known_language(value: str | None) -> Language | None:
    """`value` if it is one of the languages spoken here."""
    return next((language for language in LANGUAGES if language == value), None)


@lru_cache(maxsize=256)
def _preferred(header: str) -> Language:
    """The best of LANGUAGES by an `Accept-Language` header (RFC 9110, 12.5.4)."""
    best, best_quality = SOURCE, 0.0
    for part in header.split(",")[:20]:
        tag, _sep, parameter = part.partition(";")
        language = known_language(tag.strip().lower().partition("-")[0])
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best


if __name__ == "__main__":
    from libs.web.catalogues import main

    sys.exit(main(sys.argv[1:]))
