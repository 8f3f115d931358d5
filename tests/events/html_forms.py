"""Reading a page's forms as a browser does, so that a test sends what a person would have sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

from httpx import AsyncClient, Response


@dataclass
class HtmlForm:
    """A form with the values that it shows. `buttons` are (name, value, words) in their order."""

    action: str
    method: str
    pairs: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return dict(self.pairs)[name]

    def __contains__(self, name: str) -> bool:
        return name in dict(self.pairs)

    def filled(self, changes: dict[str, str | Sequence[str] | None]) -> list[tuple[str, str]]:
        """What is sent with `changes`; None leaves a field out, a list sends several."""
        kept = [(name, value) for name, value in self.pairs if name not in changes]
        for name, value in changes.items():
            if isinstance(value, str):
                kept.append((name, value))
            elif value is not None:
                kept += [(name, item) for item in value]
        return kept


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self.open: HtmlForm | None = None
        self.select: str | None = None
        self.chosen: str | None = None
        self.first: str | None = None
        self.textarea: tuple[str, list[str]] | None = None
        self.button: tuple[str, str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.open = HtmlForm(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self.open)
        if self.open is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind in ("radio", "checkbox"):
                self.open.choices.setdefault(name, []).append(value)
            if kind not in ("radio", "checkbox") or "checked" in given:
                self.open.pairs.append((name, value))
        elif tag == "select":
            self.select, self.chosen, self.first = name, None, None
        elif tag == "option" and self.select is not None:
            self.open.choices.setdefault(self.select, []).append(value)
            self.first = value if self.first is None else self.first
            self.chosen = value if "selected" in given else self.chosen
        elif tag == "textarea":
            self.textarea = (name, [])
        elif tag == "button":
            self.button = (name, value, [])

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.textarea[1].append(data)
        if self.button is not None:
            self.button[2].append(data)

    def handle_endtag(self, tag: str) -> None:
        if self.open is None:
            return
        if tag == "form":
            self.open = None
        elif tag == "select" and self.select is not None:
            shown = self.chosen if self.chosen is not None else self.first
            self.open.pairs.append((self.select, shown or ""))
            self.select = None
        elif tag == "textarea" and self.textarea is not None:
            # A browser drops the line break right after the tag.
            self.open.pairs.append((self.textarea[0], "".join(self.textarea[1]).removeprefix("\n")))
            self.textarea = None
        elif tag == "button" and self.button is not None:
            self.open.buttons.append((self.button[0], self.button[1], "".join(self.button[2]).strip()))
            self.button = None


def forms_of(page: Response) -> list[HtmlForm]:
    reader = _Reader()
    reader.feed(page.text)
    return reader.forms


def form_of(page: Response, action_end: str, *, method: str = "post") -> HtmlForm:
    """The form of a page whose address ends so."""
    found = [f for f in forms_of(page) if f.method == method and f.action.endswith(action_end)]
    assert found, f"no {method} form to {action_end} among {[f.action for f in forms_of(page)]}"
    return found[0]


async def send(
    client: AsyncClient,
    form: HtmlForm,
    button: str = "",
    /,
    **changes: str | Sequence[str] | None,
) -> Response:
    """Fill the form in (`capacity__on_site` is `capacity/on_site`) and press the button with these words."""
    named = {name.replace("__", "/"): value for name, value in changes.items()}
    pairs = form.filled(named)
    for name, value, words in form.buttons:
        if button and button in words and name:
            pairs.append((name, value))
            break
    body = urlencode(pairs)
    if form.method == "get":
        return await client.get(f"{form.action}?{body}")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await client.post(form.action, content=body.encode(), headers=headers)


async def follow(client: AsyncClient, answer: Response) -> Response:
    """The page that a 303 leads to."""
    assert answer.status_code == 303, (answer.status_code, answer.text[-3000:])
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200, page.status_code
    return page
