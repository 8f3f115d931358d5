"""The translators' tool: finds every French text in the code and compares it with the `.po` files."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from libs.web.i18n import LANGUAGES, ROOT, SHELL, SOURCE, folder_of

KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "gettext": None, "ngettext": (1, 2)}
JINJA_OPTIONS = {"trimmed": "true", "silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"}
TEMPLATE_FOLDERS = frozenset({"templates", "mails"})
COMMANDS = ("check", "update")

_PLACEHOLDER = re.compile(r"%\((\w+)\)[#0\- +]*\d*(?:\.\d+)?([a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to put right in the catalogue of `package`."""

    package: str
    language: str
    what: str
    msgid: str

    def __str__(self) -> str:
        return f"{self.package} ({self.language}): {self.what}: {self.msgid!r}"


def packages() -> list[str]:
    """The packages that own a catalogue: the shell (for all of libs), each service, and `deploy`."""
    services = sorted(f"services.{path.parent.name}" for path in ROOT.glob("services/*/__init__.py"))
    return [SHELL, *services, "deploy"]


def check(package: str, language: str) -> list[Finding]:
    """What is missing, fuzzy, obsolete or has other placeholders in the catalogue of one package."""
    given = catalogue(package, language)
    wanted = _own(extracted(package), given, package, language)
    findings = [
        Finding(package, language, what, source_of(message))
        for message in wanted
        if message.id and (what := _fault(message, given))
    ]
    unused = [message for message in given if message.id and wanted.get(message.id) is None]
    findings += [Finding(package, language, "obsolete", source_of(message)) for message in unused]
    return findings


def _own(found: Catalog, given: Catalog, package: str, language: str) -> Catalog:
    """`found` without what the shell's catalogue says already, unless the package says it its own way."""
    if package == SHELL:
        return found
    shared = catalogue(SHELL, language)
    own = Catalog()
    for message in found:
        if message.id and (given.get(message.id) is not None or _fault(message, shared)):
            own[message.id] = message
    return own


def _fault(wanted: Message, catalogue: Catalog) -> str | None:
    given = catalogue.get(wanted.id)
    if given is None or not all(_forms(given.string)):
        return "missing"
    if given.fuzzy:
        return "fuzzy"
    if isinstance(wanted.id, (list, tuple)) != isinstance(given.id, (list, tuple)):
        return "other plural forms"
    allowed = placeholders(_forms(wanted.id))
    if not placeholders(_forms(given.string)) <= allowed:
        return "other placeholders"
    # One plural form may leave the number out (« one person »); a plain text may leave out nothing.
    return "other placeholders" if placeholders(_forms(given.string)[-1:]) != allowed else None


def placeholders(forms: Iterable[str]) -> set[tuple[str, str]]:
    """The `%(name)s` of some texts."""
    return {match for form in forms for match in _PLACEHOLDER.findall(form)}


def _forms(text: object) -> list[str]:
    return [str(part) for part in text] if isinstance(text, (list, tuple)) else [str(text)]


def source_of(message: Message) -> str:
    """The French text (the singular one)."""
    return _forms(message.id)[0]


def catalogue(package: str, language: str) -> Catalog:
    """The `.po` file of a package; empty if there is none yet."""
    path = _path(package, language)
    if not path.is_file():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def extracted(package: str) -> Catalog:
    """Every text that the code and templates of `package` show to people, with where it stands."""
    found = Catalog()
    for path in _sources(package):
        for line, message, comments, context in _messages(path):
            place = (path.relative_to(ROOT).as_posix(), line)
            found.add(message, locations=[place], auto_comments=comments, context=context)
    return found


def _messages(path: Path) -> Iterator[tuple[int, str | tuple[str, ...], list[str], str | None]]:
    source = BytesIO(path.read_bytes())
    if path.suffix == ".py":
        yield from extract("python", source, KEYWORDS, ("Translators:",))
    else:
        yield from extract("jinja2", source, KEYWORDS, ("Translators:",), JINJA_OPTIONS)


def _sources(package: str) -> list[Path]:
    # The shell's catalogue serves everything below libs.
    root = ROOT / "libs" if package == SHELL else folder_of(package)
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix == ".py"
        or (path.suffix in {".html", ".txt", ".xml"} and TEMPLATE_FOLDERS & set(path.relative_to(root).parts))
    ]


def update(package: str, language: str) -> None:
    """Write the texts that the catalogue misses, untranslated, and drop those that nothing uses."""
    given = catalogue(package, language)
    wanted = _own(extracted(package), given, package, language)
    if not len(wanted) and not _path(package, language).is_file():
        return
    given.update(wanted, no_fuzzy_matching=True)
    write(given, package, language)


def write(given: Catalog, package: str, language: str) -> None:
    """Put `given` in its file, in the order of the sources and without dates: additions merge."""
    for message in given:
        # Line numbers would change with every edit of the sources.
        message.locations = sorted({(file, 0) for file, _line in message.locations})
    text = BytesIO()
    write_po(
        text, given, width=0, omit_header=True, sort_by_file=True, include_lineno=False, ignore_obsolete=True
    )
    path = _path(package, language)
    path.parent.mkdir(exist_ok=True)
    path.write_text(_HEADER.format(language=language, plural=given.plural_forms) + text.getvalue().decode())


_HEADER = """\
# French is the source. `python -m libs.web.i18n update` adds what is missing here.
msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: {plural}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def _path(package: str, language: str) -> Path:
    return folder_of(package) / "locale" / f"{language}.po"


def main(arguments: list[str]) -> int:
    """`check` lists what is to do and returns 1 if there is any; `update` prepares the files for it.

    Both take package names after the command; without any, all packages.
    """
    if not arguments or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: python -m libs.web.i18n {'|'.join(COMMANDS)} [package …]\n")
        return 2
    pairs = [(p, lang) for p in arguments[1:] or packages() for lang in LANGUAGES if lang != SOURCE]
    if arguments[0] == "update":
        for package, language in pairs:
            update(package, language)
    findings = [finding for package, language in pairs for finding in check(package, language)]
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if findings else 0
