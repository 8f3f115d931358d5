"""How words are compared: without capitals, accents, ligatures, and what joins words in French."""

import unicodedata

_AS_SEARCHED = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "’": " ", "'": " ", "-": " "})


def folded(text: str) -> str:
    """« L’Îsle-Verte » as `l isle verte`: what is searched and what is searched for are written so."""
    joined = text.casefold().translate(_AS_SEARCHED)
    if joined.isascii():
        return joined
    decomposed = unicodedata.normalize("NFKD", joined)
    return "".join(character for character in decomposed if not unicodedata.combining(character))
