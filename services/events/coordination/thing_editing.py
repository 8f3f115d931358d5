"""Writing tours, activities, venues and trainers: one form each, and both versions when two people edit."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs.web.auth import StaffMember
from libs.web.forms import FormErrors, read_form
from libs.web.i18n import LazyString
from libs.web.problems import Malformed, Problem
from services.events.coordination.desk import Desk, desk_of, once, tried
from services.events.coordination.forms import FormView, Option, Spec, Typed, errors_of, read_typed
from services.events.coordination.merging import Values, differences, is_as_seen, merged
from services.events.coordination.words import done
from services.events.problems import Stale

Options = Mapping[str, list[Option]]
Given = dict[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Editing:
    """How one kind of thing is written.

    `given` turns the form's values into the fields of its input and puts what can't be read into the
    errors; `groups` says which values decide a field, where it isn't the one of its own name; `names` where
    a field of the input stands in the form.
    """

    spec: Spec
    template: str
    given: Callable[[Values, FormErrors], Given]
    options: Callable[[Desk, AsyncSession, Values], Awaitable[Options]]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


class MustAsk(Problem):
    """Raised by a change that people would be told of unasked; `sentences` say what would happen."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The thing that a form changes. `current` reads it anew: its values and its version."""

    title: str
    address: str
    back: str
    current: Callable[[], Awaitable[tuple[dict[str, str], int]]]


async def new_page(
    desk: Desk, db: AsyncSession, editing: Editing, values: Values, **context: object
) -> Response:
    """The form of something new."""
    return await _page(desk, db, editing, FormView(editing.spec, values), 200, context)


async def create(
    request: Request,
    db: AsyncSession,
    staff: StaffMember,
    editing: Editing,
    make: Callable[[Given], Awaitable[str]],
    *,
    what: str,
    **context: object,
) -> Response:
    """Make it; `make` returns the address that comes next, where `what` is said to be done."""
    desk, form = await desk_of(request, db), await read_form(request)
    typed = read_typed(form, editing.spec, {})
    errors = FormErrors()
    fields = editing.given(typed.values, errors)
    view = FormView(editing.spec, typed.values, errors=errors)
    view = replace(view, form_id=form["form_id"]) if form.get("form_id") else view
    if errors:
        return await _page(desk, db, editing, view, 422, context)
    key = once(request, staff, await request.body())
    known = await key.known(db)
    if known is not None:
        return done(known["address"], what)
    address, problem = await tried(db, lambda: make(fields))
    if address is None:
        assert problem is not None
        return await _refused(desk, db, editing, view, problem, context)
    await key.keep(db, {"address": address})
    return done(address, what)


async def edit_page(
    desk: Desk, db: AsyncSession, editing: Editing, subject: Subject, **context: object
) -> Response:
    """The form of something that is there."""
    values, version = await subject.current()
    view = FormView(editing.spec, values, version=version)
    return await _page(desk, db, editing, view, 200, context | {"subject": subject})


async def save(
    request: Request,
    db: AsyncSession,
    editing: Editing,
    subject: Subject,
    change: Callable[[Given, Typed], Awaitable[tuple[str, int | None]]],
    **context: object,
) -> Response:
    """Change what was changed; `change` returns what to say is done, perhaps with a number."""
    desk, form = await desk_of(request, db), await read_form(request)
    current, _version = await subject.current()
    typed = read_typed(form, editing.spec, current)
    errors = FormErrors()
    view = FormView(editing.spec, typed.values, errors=errors, base=typed.base, version=typed.version)
    context |= {"subject": subject}
    if typed.action == "form":
        return await _page(desk, db, editing, view, 200, context)
    fields = editing.given(typed.values, errors)
    if errors:
        return await _page(desk, db, editing, view, 422, context)
    if not typed.changed:
        return done(subject.back, "unchanged")
    own = {
        name: value
        for name, value in fields.items()
        if typed.changed & set(editing.groups.get(name, (name,)))
    }
    outcome, problem = await tried(db, lambda: change(own, typed))
    if isinstance(problem, Stale):
        # A tour's version rises with its stops too: what the form shows is still so.
        theirs, version = await subject.current()
        if is_as_seen(editing.spec, typed.base, theirs):
            again = replace(typed, version=version)
            outcome, problem = await tried(db, lambda: change(own, again))
    if outcome is not None:
        return done(subject.back, *outcome)
    if isinstance(problem, Stale):
        return await _versions(desk, db, editing, subject, typed)
    if isinstance(problem, MustAsk):
        view = replace(view, options=await editing.options(desk, db, typed.values))
        return desk.page(
            "thing_confirm.html", form=view, subject=subject, sentences=problem.sentences, errors=errors
        )
    assert problem is not None
    return await _refused(desk, db, editing, view, problem, context)


async def _page(
    desk: Desk,
    db: AsyncSession,
    editing: Editing,
    view: FormView,
    status: int,
    context: dict[str, object],
) -> Response:
    view = replace(view, options=await editing.options(desk, db, view.values))
    shown: dict[str, object] = {"subject": None} | context
    return desk.page(editing.template, status, form=view, errors=view.errors, **shown)


async def _refused(
    desk: Desk,
    db: AsyncSession,
    editing: Editing,
    view: FormView,
    problem: Problem,
    context: dict[str, object],
) -> Response:
    """The form again; a refusal that isn't about a field stands at the top."""
    if isinstance(problem, Malformed):
        view.errors.update(errors_of(problem, editing.names, editing.spec))
    else:
        message: LazyString = problem.detail or problem.title
        view.errors.add("", message)
    return await _page(desk, db, editing, view, problem.status, context)


async def _versions(
    desk: Desk, db: AsyncSession, editing: Editing, subject: Subject, typed: Typed
) -> Response:
    theirs, version = await subject.current()
    view = FormView(
        editing.spec,
        merged(typed.base, theirs, typed.values),
        await editing.options(desk, db, typed.values),
        base=theirs,
        version=version,
    )
    return desk.page(
        "versions.html",
        412,
        form=view,
        differences=differences(editing.spec, typed.base, theirs, typed.values),
        title=subject.title,
        action=subject.address,
        back=subject.back,
        errors=FormErrors(),
    )


def or_none(values: Values, names: tuple[str, ...]) -> dict[str, str | None]:
    """Fields that may be left out: empty text says nothing."""
    return {name: values.get(name) or None for name in names}
