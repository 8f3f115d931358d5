"""How names are compared when somebody searches: without accents, ligatures or capitals."""

import re
import unicodedata

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "’": " ", "'": " ", "-": " "})
_SPACES = re.compile(r"\s+")


def search_text(*parts: str | None) -> str:
    """One line to search in: « Bibliothèque Félix-Leclerc » → `bibliotheque felix leclerc`."""
    joined = " ".join(part for part in parts if part).casefold().translate(_LIGATURES)
    decomposed = unicodedata.normalize("NFKD", joined)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _SPACES.sub(" ", plain).strip()
