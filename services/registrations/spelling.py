"""Spelling: a confirmation number for the eye and for the voice."""

_FRENCH = (
    "Alice Bernard Charles David Émile François Georges Henri Isabelle Jacques Karine Louise Marie Nicolas "
    "Olivier Pierre Québec Robert Simon Thomas Ursule Victor William Xavier Yvonne Zoé"
)
_ENGLISH = (
    "Alice Bernard Charles David Emma Frank George Henry Isabel Jack Karen Louise Mary Nicholas "
    "Oliver Peter Quebec Robert Simon Thomas Ursula Victor William Xavier Yvonne Zoe"
)
_FRENCH_DIGITS = "zéro un deux trois quatre cinq six sept huit neuf"
_ENGLISH_DIGITS = "zero one two three four five six seven eight nine"


def spaced(number: str) -> str:
    """`KMPR-4827` → « K M P R – 4 8 2 7 »: sign by sign, for a reader and for a screen reader."""
    letters, _dash, digits = number.partition("-")
    return "\u00a0".join(letters) + " – " + "\u00a0".join(digits)


def spelled(number: str, language: str) -> list[tuple[str, str]]:
    """Each sign with the word to say: `("K", "Karine")`, `("4", "quatre")`."""
    return [(sign, _word(sign, language)) for sign in number if sign.isalnum()]


def read_back(text: str) -> str | None:
    """The confirmation number in what somebody typed from hearing it; None if it can't be one."""
    signs = "".join(sign for sign in text.upper() if sign.isalnum())
    shaped = len(signs) == 8 and signs.isascii() and signs[:4].isalpha() and signs[4:].isdigit()
    return f"{signs[:4]}-{signs[4:]}" if shaped else None


def _word(sign: str, language: str) -> str:
    english = language == "en"
    if sign.isdigit():
        return (_ENGLISH_DIGITS if english else _FRENCH_DIGITS).split()[int(sign)]
    return (_ENGLISH if english else _FRENCH).split()[ord(sign) - ord("A")]
