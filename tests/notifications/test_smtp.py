"""The connections to a mail server: encryption, login, reuse, and servers that answer nonsense."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from services.notifications.smtp import NotNow, Post, Refused, Server
from tests.notifications.sink import Sink

MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\n\r\ntexte\r\n.\r\n..\r\n"


async def send(post: Post, recipient: str = "b@example.org") -> None:
    await post.send(MESSAGE, sender="a@example.org", recipient=recipient)


@asynccontextmanager
async def open_post(url: str, *, here: bool = True, idle_seconds: float = 20.0) -> AsyncIterator[Post]:
    post = Post(replace(Server.of(url), here=here), idle_seconds=idle_seconds)
    try:
        yield post
    finally:
        await post.close()


def test_the_url_says_how_to_connect() -> None:
    assert Server.of("smtp://mail.example.org") == Server("mail.example.org", 25, tls=False, here=False)
    assert Server.of("smtp://u%40x:p%2Fw@mail.example.org") == Server(
        "mail.example.org", 587, tls=False, here=False, user="u@x", password="p/w"
    )
    assert Server.of("smtps://u:p@mail.example.org").port == 465
    assert Server.of("smtp://[::1]:2525").here


@pytest.mark.parametrize(
    ("url", "use_tls", "start_tls"),
    [
        ("smtp://mail.example.org", False, True),
        ("smtps://mail.example.org", True, False),
        ("smtp://127.0.0.1:2525", False, None),
    ],
)
def test_nothing_is_said_in_the_clear_to_another_machine(
    url: str, use_tls: bool, start_tls: bool | None
) -> None:
    client = Server.of(url).client()
    assert client.use_tls is use_tls
    assert client._start_tls_on_connect is start_tls


async def test_one_connection_serves_one_message_after_the_other(sink: Sink) -> None:
    async with open_post(sink.url) as post:
        for _ in range(5):
            await send(post)
    assert sink.connections == 1
    assert len(sink.letters) == 5
    assert sink.letters[0].get_content() == "texte\r\n.\r\n..\r\n"


async def test_a_connection_that_was_cut_while_it_rested_is_replaced(sink: Sink) -> None:
    async with open_post(sink.url) as post:
        await send(post)
        smtp_server_side = post._resting[0].client
        smtp_server_side.close()
        await send(post)
    assert len(sink.letters) == 2


async def test_a_connection_that_rested_long_is_asked_first(sink: Sink) -> None:
    async with open_post(sink.url, idle_seconds=0.0) as post:
        await send(post)
        await send(post)
    assert sink.connections == 1


@pytest.mark.parametrize(
    ("answer", "refused", "no_such"),
    [
        ("550 5.1.1 unknown", True, True),
        ("553 no", True, True),
        ("554 5.7.1 policy", True, False),
        ("451 later", False, False),
        ("421 4.3.2 closing", False, False),
        ("drop", False, False),
    ],
)
async def test_only_what_concerns_the_recipient_is_final(
    sink: Sink, answer: str, refused: bool, no_such: bool
) -> None:
    sink.rcpt = lambda _address: answer
    async with open_post(sink.url) as post:
        with pytest.raises((NotNow, Refused)) as caught:
            await send(post, "secret.person@example.org")
        assert isinstance(caught.value, Refused) is refused
        assert getattr(caught.value, "no_such_address", False) is no_such
        assert "secret" not in str(caught.value)
        sink.rcpt = lambda _address: None
        await send(post)
    assert len(sink.letters) == 1


class Porter:
    """Asks for a name and a password."""

    def __init__(self, password: bytes) -> None:
        self.password = password
        self.letters = 0

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        login, password = getattr(data, "login", b""), getattr(data, "password", b"")
        return AuthResult(success=(login, password) == (b"tournee", self.password), handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        self.letters += 1
        return "250 OK"


@asynccontextmanager
async def guarded(porter: Porter) -> AsyncIterator[int]:
    def protocol() -> SMTP:
        return SMTP(
            porter,
            hostname="localhost",
            authenticator=porter.authenticate,
            auth_required=False,
            auth_require_tls=False,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_name_and_password_of_the_url_are_used() -> None:
    porter = Porter(b"p/w")
    async with guarded(porter) as port, open_post(f"smtp://tournee:p%2Fw@127.0.0.1:{port}") as post:
        await send(post)
    assert porter.letters == 1


async def test_a_wrong_password_is_ours_to_mend_not_the_persons_fault() -> None:
    async with guarded(Porter(b"right")) as port, open_post(f"smtp://tournee:wrong@127.0.0.1:{port}") as post:
        with pytest.raises(NotNow, match="CONNECT 535"):
            await send(post)


@asynccontextmanager
async def encrypted(porter: Porter, *, from_the_start: bool) -> AsyncIterator[int]:
    """A server with a certificate that nobody vouches for (`localhost.pem`, made for these tests)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("localhost.pem"))

    def protocol() -> SMTP:
        if from_the_start:
            return SMTP(porter, hostname="localhost")
        return SMTP(porter, hostname="localhost", tls_context=context, require_starttls=True)

    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=context if from_the_start else None
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_what_is_offered_encrypted_is_taken_encrypted(scheme: str) -> None:
    porter = Porter(b"")
    offered = encrypted(porter, from_the_start=scheme == "smtps")
    async with offered as port, open_post(f"{scheme}://127.0.0.1:{port}") as post:
        await send(post)
        await send(post)
    assert porter.letters == 2


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_another_machine_must_prove_who_it_is(scheme: str) -> None:
    porter = Porter(b"")
    offered = encrypted(porter, from_the_start=scheme == "smtps")
    async with offered as port, open_post(f"{scheme}://127.0.0.1:{port}", here=False) as post:
        with pytest.raises(NotNow, match="CONNECT"):
            await send(post)
    assert porter.letters == 0


async def test_another_machine_that_offers_no_encryption_gets_no_mail(sink: Sink) -> None:
    async with open_post(sink.url, here=False) as post:
        with pytest.raises(NotNow, match="CONNECT"):
            await send(post)
    assert sink.letters == []


NONSENSE: Sequence[bytes] = (
    b"",
    b"\xff\xfe\x00\x80\r\n",
    b"220\r\n",
    b"hello\r\n",
    b"999 what\r\n",
    b"220-" + b"x" * 100_000 + b"\r\n",
    b"220 ok\r\n250-\xe9\xe8 \xff\r\n250 AUTH \xff\r\n",
    b"220 ok\r\n250 hi\r\n250 ok\r\n250 ok\r\n354 go\r\n\xff\xff\r\n",
    b"220 ok\r\n250 hi\r\n250 ok\r\n-1 \r\n",
    b"220 ok\r\n250 hi\r\n250 ok\r\n250 ok\r\n250 not 354\r\n",
    b"220 ok\r\n250 STARTTLS\r\n220 go\r\nnot tls at all\r\n",
    b"554 5.3.2 no service\r\n",
)


@asynccontextmanager
async def saying(script: bytes) -> AsyncIterator[int]:
    """A server that says `script`, a line for each line that it hears, and hangs up."""
    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ValueError):
            for line in script.splitlines(keepends=True):
                writer.write(line)
                if not line.startswith(b"250-"):
                    await reader.readline()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*talks)


@pytest.mark.parametrize("script", NONSENSE, ids=range(len(NONSENSE)))
async def test_a_server_may_answer_anything_at_all(script: bytes) -> None:
    async with saying(script) as port, open_post(f"smtp://127.0.0.1:{port}") as post:
        with pytest.raises(NotNow):
            await send(post)


async def test_an_address_with_accents_needs_a_server_that_takes_it(sink: Sink) -> None:
    async with open_post(sink.url) as post:
        await send(post, "élise@example.org")
    assert sink.envelopes[0][1] == "élise@example.org"


async def test_goodbye_is_said_when_the_service_stops(sink: Sink) -> None:
    post = Post(Server.of(sink.url))
    await send(post)
    await post.close()
    assert post._resting == []
