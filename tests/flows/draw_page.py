"""A stranger's reader of `/tirage/{id}`: the page alone, by Python's own library alone, printed as JSON.

`python -I draw_page.py ADDRESS` gives what the recipe of docs/draw.md reads from a file.
"""

import json
import sys
from html.parser import HTMLParser
from urllib.request import Request, urlopen

FACTS = {
    "empreinte": "commitment",
    "regles-comptees": "rules",
    "empreinte-numeros": "tickets_hash",
    "nombre-secret": "seed",
}


class DrawPage(HTMLParser):
    """Collects the text of the facts with an id, and of every row of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self._fact: str | None = None
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dd":
            self._fact = FACTS.get(dict(attrs).get("id") or "")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "dd":
            self._fact = None
        elif tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._fact is not None:
            self.facts[self._fact] = self.facts.get(self._fact, "") + data
        elif self._in_cell:
            self.rows[-1][-1] += data


def read(html: str) -> dict[str, object]:
    """`commitment`, `rules`, `tickets_hash`, `seed`; `tickets` and `result` once it is drawn."""
    page = DrawPage()
    page.feed(html)
    _heading, *rows = page.rows or [[]]
    result, tickets = [], []
    for rank, ticket, outcome in rows:
        number, _, lots = ticket.partition("(")
        result.append([_number(number), _number(rank), outcome.strip()])
        tickets.append([_number(number), _number(lots or "1")])
    return page.facts | {
        "rules": json.loads(page.facts["rules"]),
        "tickets": sorted(tickets),
        "result": result,
    }


def _number(text: str) -> int:
    return int("".join(sign for sign in text if sign.isdigit()))


if __name__ == "__main__":
    with urlopen(Request(sys.argv[1], headers={"Accept-Language": "fr"})) as answer:
        json.dump(read(answer.read().decode()), sys.stdout)
