"""The mail catcher: what is sent is kept whole, listed newest first, and shown to staff only."""

import email
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import urlsplit

import aiosmtplib
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import mailcatcher
from deploy.mailbox import Letter, Mailbox
from libs.database import Database
from libs.settings import Settings
from libs.web.app import Service
from tests.conftest import ADMIN_TOKEN

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


class NoBus:
    """The catcher never speaks on the bus."""


@pytest.fixture
def mailbox(data_dir: Path) -> Mailbox:
    return Mailbox(data_dir / "boite-envoi")


@pytest.fixture
async def client(
    mailbox: Mailbox, settings: Settings, provisioned: Database
) -> AsyncIterator[httpx.AsyncClient]:
    service = Service("boite-envoi", settings, provisioned, NoBus())  # type: ignore[arg-type]
    transport = httpx.ASGITransport(mailcatcher.create(service, mailbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=STAFF) as client:
        yield client


def letter(subject: str = "Vous avez une place : Le courriel", html: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ateliers@example.org", "aline@example.org", subject
    message.set_content("Bonjour Aline,\nà mardi <3\n")
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


async def send(mailbox: Mailbox, *messages: EmailMessage) -> None:
    async with mailcatcher.catching(mailbox) as url:
        parts = urlsplit(url)
        for message in messages:
            await aiosmtplib.send(message, hostname=parts.hostname, port=parts.port, start_tls=False)


async def listed(client: httpx.AsyncClient, **params: object) -> dict[str, object]:
    answer = await client.get("/boite-envoi.json", params=params)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


async def test_what_is_sent_can_be_read_back_whole(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    sent = letter()
    await send(mailbox, sent)
    (item,) = (await listed(client))["items"]
    assert item["to"] == "aline@example.org"
    assert item["subject"] == "Vous avez une place : Le courriel"
    raw = (await client.get(f"/boite-envoi/{item['id']}.eml")).content
    kept = email.message_from_bytes(raw, policy=default)
    assert kept["Subject"] == sent["Subject"]
    assert kept.get_content().split() == sent.get_content().split()


async def test_the_newest_message_comes_first_and_the_cursor_goes_on(
    mailbox: Mailbox, client: httpx.AsyncClient
) -> None:
    await send(mailbox, *(letter(str(n)) for n in range(5)))
    first = await listed(client, limit=2)
    second = await listed(client, limit=2, cursor=first["next"])
    third = await listed(client, limit=2, cursor=second["next"])
    pages = [[item["subject"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert third["next"] is None


async def test_messages_survive_a_restart(mailbox: Mailbox, data_dir: Path) -> None:
    await send(mailbox, letter("un"), letter("deux"))
    again = Mailbox(data_dir / "boite-envoi")
    assert [item.subject for item in again.newest(10)[0]] == ["deux", "un"]
    assert again.next_id() > again.newest(1)[0][0].id


@pytest.mark.parametrize(
    "path", ["/boite-envoi.json", "/boite-envoi", "/boite-envoi/x", "/boite-envoi/x.eml"]
)
async def test_only_staff_see_the_messages(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Authorization": "Bearer wrong", "Accept": "application/json"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "identity",
    [
        "../postgres-password",
        "..%2Fpostgres-password",
        "%00",
        "a" * 5000,
        "é",
        "*",
        "000000000000000000000000",
    ],
)
async def test_an_id_that_was_never_given_finds_nothing(
    mailbox: Mailbox, client: httpx.AsyncClient, identity: str
) -> None:
    await send(mailbox, letter())
    for path in (f"/boite-envoi/{identity}", f"/boite-envoi/{identity}.eml"):
        assert (await client.get(path)).status_code == 404


async def test_the_html_of_a_message_can_do_nothing(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    await send(mailbox, letter("<script>alert(1)</script>", html="<p>Bonjour<script>alert(2)</script></p>"))
    (item,) = (await listed(client))["items"]
    page = (await client.get(f"/boite-envoi/{item['id']}")).text
    assert "<script>" not in page
    assert "à mardi &lt;3" in page
    html = await client.get(f"/boite-envoi/{item['id']}.html")
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


async def test_the_list_is_a_page_too(mailbox: Mailbox, client: httpx.AsyncClient) -> None:
    await send(mailbox, letter("Le premier"))
    assert "Le premier" in (await client.get("/boite-envoi")).text
    assert "newest first" in (await client.get("/boite-envoi?lang=en")).text


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown(content: bytes) -> None:
    read = Letter(b"Subject: =?x?q?=FF?=\r\nContent-Type: text/plain; charset=nonsense\r\n" + content)
    assert isinstance(read.header("Subject"), str)
    assert read.text is None or isinstance(read.text, str)
    assert isinstance(read.attachments, list)
