"""What a person sent with a form: plain text, cleaned the same way everywhere, and what is wrong with it."""

import unicodedata
from collections.abc import Iterable
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import Request

from libs.web.i18n import LazyString, _
from libs.web.problems import BadRequest, Malformed, UnsupportedMedia
from libs.web.validation import FieldError, field_errors

MAX_FIELDS = 200


class Form(dict[str, str]):
    """The fields of a form. A field sent several times (checkboxes) is read with `all`."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = list(pairs)
        super().__init__(self.pairs)

    def all(self, name: str) -> list[str]:
        """Every value sent under `name`, in their order."""
        return [value for key, value in self.pairs if key == name]


class FormErrors(dict[str, LazyString]):
    """Field → message, in the order of the summary; the first message of a field is kept."""

    def add(self, field: str, message: LazyString) -> None:
        self.setdefault(field, message)

    def in_order(self, fields: Iterable[str]) -> "FormErrors":
        """The same, those of `fields` first, in the order in which the page has them."""
        return FormErrors({field: self[field] for field in (*fields, *self) if field in self})

    @classmethod
    def from_validation(cls, error: ValidationError) -> "FormErrors":
        """What pydantic found, under the names of `FieldError.field`."""
        errors = cls()
        for item in field_errors(error.errors(include_url=False, include_input=False)):
            errors.add(item.field, item.message)
        return errors


async def read_form(request: Request, *, max_fields: int = MAX_FIELDS) -> Form:
    """The urlencoded form in the body: trimmed, NFC, line ends as `\\n`.

    Raises `UnsupportedMedia` for another media type, `BadRequest` for bytes that aren't UTF-8 or too
    many fields, `Malformed` for a NUL byte, which PostgreSQL can't store.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and media_type != "application/x-www-form-urlencoded":
        raise UnsupportedMedia
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=max_fields,
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise BadRequest from error
    bad = [
        FieldError(name.replace("\0", ""), _BAD_CHARACTER) for name, value in pairs if "\0" in name + value
    ]
    if bad:
        raise Malformed(errors=bad)
    return Form((clean(name), clean(value)) for name, value in pairs)


def clean(text: str) -> str:
    """`text` without spaces around it, in Unicode normal form C, with plain line ends."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()


_BAD_CHARACTER = _("Cette réponse contient un caractère qui ne peut pas être lu. Retapez-la.")
