"""How a library's name is written: with the accents and capitals that its sources lost."""

import re

from services.events.search import search_text

_WORDS = {
    "Bibliotheque": "Bibliothèque",
    "Bibliotheques": "Bibliothèques",
    "College": "Collège",
    "Decouverte": "Découverte",
    "Litteraire": "Littéraire",
    "Mediatheque": "Médiathèque",
    "Municipale": "municipale",
    "Reseau": "Réseau",
    "Scolaire": "scolaire",
    "Secteur": "secteur",
}
_WORD = re.compile(r"[^\W\d_]+")
_JOINED_PARTICLE = re.compile(r"-(À|Au|Aux|De|Des|Du|En|Et|L|La|Le|Les|Sous|Sur)(?=[- ])")
_JOINED_ELISION = re.compile(r"-([DL])['’]")


def tidy_name(name: str, municipality: str | None = None) -> str:
    """« Bibliothèque de Perce » in Percé → « Bibliothèque de Percé ».

    The town's own name is official; what no list knows stays as the source has it.
    """
    name = re.sub(r"^Bibliothèque - ", "Bibliothèque ", " ".join(name.split()))
    name = name.replace("-À -", "-À-").replace(" de les ", " des ").replace(" de le ", " du ")
    name = _JOINED_PARTICLE.sub(lambda match: match[0].lower(), name)
    name = _JOINED_ELISION.sub(lambda match: match[0].lower(), name)
    name = re.sub(r"\bSt(e?)-", r"Saint\1-", name)
    name = _WORD.sub(lambda match: _WORDS.get(match[0], match[0]), name)
    if municipality:
        name = _with_town(name, municipality)
    return _typeset(name)


def tidy_town(name: str) -> str:
    """« Port-Daniel--Gascons » → « Port-Daniel–Gascons »."""
    return _typeset(name.replace("--", "–"))


def tidy_bilingual_name(name: str) -> str:
    """« Bibliothèque De Beaumont Library » → « Bibliothèque de Beaumont Library »."""
    name = re.sub(r"\bD'", "d'", name) if name.startswith("Bibliothèque") else name
    if name.startswith("Bibliothèque"):
        name = re.sub(r" (De|Du|Des|Et) ", lambda match: match[0].lower(), name)
    return _typeset(name)


def _with_town(name: str, town: str) -> str:
    """`name` with `town` spelt as the town spells itself, wherever it stands as whole words."""
    wanted = search_text(town.replace("--", "-"))
    parts = list(re.finditer(r"[^\s()/-]+", name))
    size = len(wanted.split())
    for first in range(len(parts) - size + 1):
        start, end = parts[first].start(), parts[first + size - 1].end()
        if search_text(name[start:end]) == wanted:
            return name[:start] + town.replace("--", "–") + name[end:]
    return name


def _typeset(text: str) -> str:
    return text.replace("'", "’")
