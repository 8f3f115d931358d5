"""Pages and texts from Jinja templates: the shell's and one service's, in the reader's language."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    pass_context,
    select_autoescape,
)
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.web import formats
from libs.web.assets import static_url
from libs.web.i18n import SHELL, LazyString, folder_of, language_of, translate, translations

if TYPE_CHECKING:
    from libs.settings import Settings


def render(request: Request, name: str, status_code: int = 200, **context: object) -> HTMLResponse:
    """The template `name` as a page. Beside `context` it sees `request`, `language`, `settings`,
    `staff` (the signed-in regional member or None), `national` (the same of national staff), `_`,
    `ngettext`, `static_url`, `language_link` and every function of `libs.web.formats` as a filter that
    already knows the language.
    """
    from libs.web.auth import national_of, staff_of  # the sign-in page is itself rendered here

    state = request.app.state
    language = language_of(request)
    page = environment(state.package, language).get_template(name)
    settings: Settings = state.service.settings
    html = page.render(
        {
            "request": request,
            "settings": settings,
            "staff": staff_of(request),
            "national": national_of(request),
            "request_id": request.scope.get("request_id", ""),
            "language_link": partial(language_link, request),
        }
        | context
    )
    return HTMLResponse(html, status_code=status_code, headers={"Content-Language": language})


def language_link(request: Request, language: str) -> str:
    """This page in `language`: the same address and filters, relative, so that any host name works."""
    query = [
        (name, value)
        for name, value in parse_qsl(request.url.query, keep_blank_values=True)
        if name != "lang"
    ]
    return "?" + urlencode([*query, ("lang", language)])


@lru_cache(maxsize=32)
def environment(package: str, language: str) -> Environment:
    """The templates of `package` before the shell's, speaking `language`; also for e-mails.

    One environment per language, so that macros imported without context are translated too.
    """
    folders = (folder_of(package), folder_of(SHELL))
    env = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder / "templates") for folder in folders]),
        autoescape=select_autoescape(["html", "xml"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        finalize=partial(_finalize, language=language, package=package),
    )
    env.policies["ext.i18n.trimmed"] = True
    catalogue = translations(language, package)
    env.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]  # i18n extension
    spoken = _gettext(env.globals["gettext"], language, package)
    counted = _ngettext(env.globals["ngettext"], language, package)
    env.globals.update(
        {"_": spoken, "gettext": spoken, "ngettext": counted, "language": language, "static_url": static_url}
    )
    env.filters.update(_formats(formats, language))
    return env


def _finalize(value: object, *, language: str, package: str) -> object:
    """What `{{ … }}` shows: a lazy text is translated at the last moment."""
    return translate(value, language, package) if isinstance(value, LazyString) else value


def _gettext(newstyle: Any, language: str, package: str) -> Callable[..., str]:
    """`_` for templates: a source text with its parameters, or a lazy text made elsewhere."""

    @pass_context
    def gettext(context: Context, message: str | LazyString, /, **params: object) -> str:
        if isinstance(message, LazyString):
            return translate(message, language, package)
        shown = {name: _finalize(value, language=language, package=package) for name, value in params.items()}
        text: str = newstyle(context, message, **shown)
        return text

    return gettext


def _ngettext(newstyle: Any, language: str, package: str) -> Callable[..., str]:
    """`ngettext` for templates; both forms may show `%(count)s`, as in Python."""

    @pass_context
    def ngettext(context: Context, singular: str, plural: str, number: int, /, **params: object) -> str:
        shown = {name: _finalize(value, language=language, package=package) for name, value in params.items()}
        text: str = newstyle(context, singular, plural, number, **({"count": number} | shown))
        return text

    return ngettext


def _formats(module: ModuleType, language: str) -> Mapping[str, Callable[..., Any]]:
    """The public functions of `module` as filters; those that take a language get this one."""
    filters: dict[str, Callable[..., Any]] = {}
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ != module.__name__ or name.startswith("_"):
            continue
        takes_language = "language" in inspect.signature(function).parameters
        filters[name] = partial(function, language=language) if takes_language else function
    return filters
