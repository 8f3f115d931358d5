"""How an address of the reference data is written: « 34, rue de l’Évêché Ouest »."""

import re

_GENERIC = {
    "allée": "allée",
    "av": "avenue",
    "ave": "avenue",
    "avenue": "avenue",
    "boul": "boulevard",
    "boulevard": "boulevard",
    "ch": "chemin",
    "chemin": "chemin",
    "cote": "côte",
    "croissant": "croissant",
    "côte": "côte",
    "impasse": "impasse",
    "ligne": "ligne",
    "montee": "montée",
    "montée": "montée",
    "place": "place",
    "promenade": "promenade",
    "rang": "rang",
    "route": "route",
    "rue": "rue",
    "ruelle": "ruelle",
    "square": "square",
    "terrasse": "terrasse",
}
_DIRECTIONS = {"est": "Est", "e": "Est", "ouest": "Ouest", "nord": "Nord", "sud": "Sud"}
_PARTICLES = frozenset({"à", "au", "aux", "de", "des", "du", "en", "et", "la", "le", "les", "sur"})
_GLUED = re.compile(r"^(de-la-|de-l'|de-la$|des-|du-|de-)")
_ELIDED = re.compile(r"^([dl])['’](.+)$")
_SAINT = re.compile(r"^(st|ste)(-|$)")
_ORDINAL = re.compile(r"^(\d+)(re|ere|ère|er|e|eme|ème|ieme|ième)$")
_NUMBER_IN_STREET = re.compile(r"^\d+[a-z]$")


def tidy_street(number: str, street: str) -> str | None:
    """The street as a sign has it, from lower-case text whose parts may stand in English order.

    None when nothing names the street, as where the source cut it off: « boulevard la ».
    """
    words = _words(street)
    if not number and any(_NUMBER_IN_STREET.match(word) for word in words):
        return None  # « 372a avenue »: the number took the name's place
    if all(word in _GENERIC or word in _DIRECTIONS for word in words) or _is_cut_off(words):
        return None
    line = _in_order(words)
    return f"{number.upper()}, {line}" if number else line


def _is_cut_off(words: list[str]) -> bool:
    name = [word for word in words if word not in _DIRECTIONS and word not in _GENERIC]
    return bool(name) and (name[-1] in _PARTICLES or name[-1] in {"saint", "sainte", "d'en"})


def _in_order(words: list[str]) -> str:
    """The generic word first (« avenue Royale »), unless it follows an ordinal (« 1re Avenue Ouest »)."""
    last = len(words) - 1
    direction = _DIRECTIONS[words[last]] if last > 0 and words[last] in _DIRECTIONS else ""
    if direction:
        words = words[:-1]
    generic = ""
    if len(words) > 1 and words[0] in _GENERIC:
        generic, words = _GENERIC[words[0]], words[1:]
    elif len(words) > 1 and words[-1] in _GENERIC:
        generic, words = _GENERIC[words[-1]], words[:-1]
    ordinal = _ORDINAL.match(words[0]) if len(words) == 1 else None
    if ordinal and generic:
        name = [f"{ordinal[1]}{'re' if ordinal[1] == '1' else 'e'}", generic.capitalize()]
    else:
        name = [generic, _specific(words)]
    return " ".join(part for part in (*name, direction) if part)


def _words(street: str) -> list[str]:
    """Lower-case words, with the particles that the source ties on by hyphens set free."""
    words: list[str] = []
    for word in re.sub(r"^(\d+e)(avenue|rue) \2$", r"\1 \2", street.casefold().strip()).split():
        if glued := _GLUED.match(word):
            words += glued[1].replace("-", " ").split()
            word = word[glued.end() :]
            if words[-1] == "l'":
                words.pop()
                word = f"l'{word}"
        if word:
            words.append(word)
    return _saints(words)


def _saints(words: list[str]) -> list[str]:
    """« st joseph » and « st-joseph » are both « saint-joseph »."""
    joined: list[str] = []
    for word in words:
        if joined and re.fullmatch(r"sainte?-", joined[-1]):
            joined[-1] += word
        elif match := _SAINT.match(word):
            joined.append(("saint-" if match[1] == "st" else "sainte-") + word[match.end() :])
        else:
            joined.append(word)
    return [word.rstrip("-") for word in joined]


def _specific(words: list[str]) -> str:
    return " ".join(_capital(word) for word in words)


def _capital(word: str) -> str:
    if word in _PARTICLES:
        return word
    if elided := _ELIDED.match(word):
        return f"{elided[1]}’{_capital(elided[2])}"
    parts = word.split("-")
    return "-".join(
        part if index and part in _PARTICLES else part[:1].upper() + part[1:]
        for index, part in enumerate(parts)
    ).replace("'", "’")
