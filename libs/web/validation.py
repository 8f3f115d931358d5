"""Malformed input in plain words: what pydantic found, field by field, without repeating the value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.web.i18n import LazyString, _, ngettext


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field to correct. `field` is its path: `contact/email`, `releases/0/at`; empty = everything."""

    field: str
    message: LazyString


def field_errors(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Errors of pydantic or FastAPI (`error.errors()`) as field errors, in their order."""
    return [FieldError(_field(item), message_of(item)) for item in found]


def message_of(item: Mapping[str, Any]) -> LazyString:
    """One pydantic error in words. A `ValueError(_("…"))` raised by a validator says its own."""
    kind, context = str(item["type"]), item.get("ctx") or {}
    raised = context.get("error")
    if isinstance(raised, Exception) and raised.args and isinstance(raised.args[0], LazyString):
        return raised.args[0]
    by_kind = _MESSAGES.get(kind)
    if by_kind is not None:
        return by_kind(context)
    return next((message for prefix, message in _FAMILIES.items() if kind.startswith(prefix)), _OTHER)


def _field(item: Mapping[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return ""
    # A key of a mapping that is wrong itself is named by itself.
    where = [str(part) for part in item["loc"] if part != "[key]"]
    if where and where[0] in {"body", "query", "path", "header", "cookie"}:
        where = where[1:]
    return "/".join(where)


def _choices(context: Mapping[str, Any]) -> LazyString:
    """pydantic lists the choices as `'web', 'phone' or 'desk'`; our languages take the commas alone."""
    expected = str(context["expected"]).replace(" or ", ", ").replace("'", "")
    return _("Choisissez une des réponses proposées : %(expected)s.", expected=expected)


_OTHER = _("Cette réponse n’est pas valable.")

_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], LazyString]] = {
    "missing": lambda c: _("Cette réponse est nécessaire."),
    "extra_forbidden": lambda c: _("Ce champ n’existe pas ici."),
    "string_too_short": lambda c: ngettext(
        "Écrivez au moins %(count)s caractère.", "Écrivez au moins %(count)s caractères.", c["min_length"]
    ),
    "string_too_long": lambda c: ngettext(
        "Écrivez au plus %(count)s caractère.", "Écrivez au plus %(count)s caractères.", c["max_length"]
    ),
    "too_short": lambda c: ngettext(
        "Donnez au moins %(count)s élément.", "Donnez au moins %(count)s éléments.", c["min_length"]
    ),
    "too_long": lambda c: ngettext(
        "Donnez au plus %(count)s élément.", "Donnez au plus %(count)s éléments.", c["max_length"]
    ),
    "greater_than": lambda c: _("Donnez un nombre plus grand que %(limit)s.", limit=c["gt"]),
    "greater_than_equal": lambda c: _("Donnez un nombre d’au moins %(limit)s.", limit=c["ge"]),
    "less_than": lambda c: _("Donnez un nombre plus petit que %(limit)s.", limit=c["lt"]),
    "less_than_equal": lambda c: _("Donnez un nombre d’au plus %(limit)s.", limit=c["le"]),
    "enum": lambda c: _choices(c),
    "literal_error": lambda c: _choices(c),
    "json_invalid": lambda c: _("Le JSON ne peut pas être lu."),
    "int_from_float": lambda c: _("Donnez un nombre entier."),
    "string_pattern_mismatch": lambda c: _("Cette réponse n’a pas la forme attendue."),
    "timezone_naive": lambda c: _("Donnez une date et une heure sans décalage horaire."),
    "timezone_aware": lambda c: _("Donnez une date et une heure avec leur décalage horaire."),
    "none_required": lambda c: _("Laissez ce champ vide."),
    "date_past": lambda c: _("Donnez une date passée."),
    "date_future": lambda c: _("Donnez une date à venir."),
}

_FAMILIES: Mapping[str, LazyString] = {
    "string": _("Donnez un texte."),
    "int": _("Donnez un nombre entier."),
    "float": _("Donnez un nombre."),
    "decimal": _("Donnez un nombre."),
    "finite_number": _("Donnez un nombre."),
    "multiple_of": _("Donnez un nombre du bon multiple."),
    "bool": _("Répondez par vrai ou faux."),
    "uuid": _("Cet identifiant n’a pas la bonne forme."),
    "datetime": _("Donnez une date et une heure, comme 2027-02-03T13:30."),
    "date": _("Donnez une date, comme 2027-02-03."),
    "time_delta": _("Donnez une durée."),
    "time": _("Donnez une heure, comme 13:30."),
    "url": _("Donnez une adresse Web complète, comme https://example.org."),
    "list": _("Donnez une liste."),
    "tuple": _("Donnez une liste."),
    "set": _("Donnez une liste."),
    "dict": _("Donnez un objet JSON."),
    "model": _("Donnez un objet JSON."),
    "dataclass": _("Donnez un objet JSON."),
}
