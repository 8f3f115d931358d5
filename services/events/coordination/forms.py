"""A coordinator's form: its fields, what was typed over what was seen first, and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import orjson

from libs.web.forms import Form, FormErrors, clean
from libs.web.i18n import LazyString
from libs.web.problems import Malformed
from services.events.coordination.merging import Values

Words = LazyString | str
Option = tuple[str, Words]
KEEP = "keep/"
"""`keep/title=theirs` takes the other person's value back, where both changed a field."""


@dataclass(frozen=True, slots=True)
class Field:
    """`many`: several values, kept as ids with a space between them."""

    label: LazyString
    many: bool = False


Spec = Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Typed:
    """What came with a form: `base` is what its author saw, `version` the version that they saw it in.

    `action` names the button: `save` unless another one was pressed. `new` forms have no version.
    """

    form: Form
    values: dict[str, str]
    base: dict[str, str]
    version: int | None
    action: str

    @property
    def changed(self) -> frozenset[str]:
        return frozenset(name for name, value in self.values.items() if value != self.base.get(name, ""))

    @property
    def confirmed(self) -> bool:
        return self.form.get("confirmed") == "1"


def read_typed(form: Form, spec: Spec, current: Values) -> Typed:
    """Read a form over the values that it started from; without them, over the `current` ones."""
    seen = _base(form)
    # What was empty isn't sent along: a missing name is an empty field, not one that was never shown.
    base = dict(current) | ({name: seen.get(name, "") for name in spec} if seen is not None else {})
    values = {name: _value(form, name, field_, base) for name, field_ in spec.items()}
    return Typed(form, values, base, version_of(form), form.get("action") or "save")


def _value(form: Form, name: str, field_: Field, base: Values) -> str:
    if form.get(KEEP + name) == "theirs":
        return base.get(name, "")
    if field_.many:
        # No box ticked sends nothing; a page without these boxes says so by not naming them.
        return " ".join(form.all(name)) if name in form or f"{name}/shown" in form else base.get(name, "")
    return form.get(name, base.get(name, ""))


def version_of(form: Form) -> int | None:
    """The version that the form was made from; nonsense is a version that nobody has."""
    text = form.get("version", "")
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _base(form: Form) -> dict[str, str] | None:
    try:
        read = orjson.loads(form.get("base", ""))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(read, dict):
        return None
    return {name: value for name, value in read.items() if isinstance(value, str)}


@dataclass(frozen=True, slots=True)
class FormView:
    """A form as its template shows it. `options` are the choices of a field, also of its values in words."""

    spec: Spec
    values: Values
    options: Mapping[str, Sequence[Option]] = field(default_factory=dict)
    errors: FormErrors = field(default_factory=FormErrors)
    base: Values | None = None
    version: int | None = None
    form_id: str = field(default_factory=lambda: str(uuid4()))

    def label(self, name: str) -> LazyString:
        return self.spec[name].label

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def error(self, name: str) -> Words:
        return self.errors.get(name, "")

    def choices(self, name: str) -> Sequence[Option]:
        """The options, and the value itself where a newer peer's isn't among them: it must not be lost."""
        known, value = self.options.get(name, ()), self.value(name)
        if not known or not value or self.spec[name].many or value in dict(known):
            return known
        return [*known, (value, value)]

    @property
    def seen(self) -> str:
        """What the author sees now, for the `base` of the next answer."""
        started = self.values if self.base is None else self.base
        values = {name: clean(started.get(name, "")) for name in self.spec}
        return orjson.dumps({name: value for name, value in values.items() if value}).decode()

    @property
    def hidden(self) -> Iterator[tuple[str, str]]:
        """Every value as hidden fields, for a page that asks something before the form is done.

        What was empty and stayed empty needn't be said.
        """
        for name, spec in self.spec.items():
            if spec.many:
                yield f"{name}/shown", "1"
                yield from ((name, item) for item in self.value(name).split())
            elif self.value(name) or (self.base or {}).get(name):
                yield name, self.value(name)

    def in_words(self, name: str, value: str) -> list[Words]:
        """A value as a person reads it, one text for each of several."""
        known = dict(self.options.get(name, ()))
        parts = value.split() if self.spec[name].many else [value]
        return [known.get(part, part) for part in parts if part]


def errors_of(problem: Malformed, names: Mapping[str, str], spec: Spec) -> FormErrors:
    """A command's refusal under the names of the form's fields; what has no field stands for the whole."""
    errors = FormErrors()
    for item in problem.errors:
        errors.add(_field_of(item.field, names, spec), item.message)
    if not errors and problem.detail is not None:
        errors.add("", problem.detail)
    return errors


def _field_of(path: str, names: Mapping[str, str], spec: Spec) -> str:
    """`capacity/on_site` is that field, or the one that `names` gives for it or for its beginning."""
    while path:
        found = names.get(path, path)
        if found in spec:
            return found
        path = path.rpartition("/")[0]
    return ""
