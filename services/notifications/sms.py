"""Handing text messages to the gateway of `SMS_URL`, in the generic dialect or in Twilio's (docs/sms.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit
from uuid import UUID

import httpx

from libs.settings import Settings
from services.notifications.handing import NotNow, Refused

ANSWER_SECONDS = 20.0
"""How long a gateway may take to answer; what it took meanwhile, it recognises by the id next time."""
RECEIPTS = "/api/notifications/v1/sms/receipts"
SHORTEST_TOKEN = 16
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164, the only form in which a number is handed over."""


class BadGateway(ValueError):
    """SMS_URL and SMS_TOKEN don't make a gateway; the text, for the operator, repeats no secret."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where text messages are handed over.

    `url` has no secret in it. `token`: the shared secret, or Twilio's auth token; `account`, `sender` (a
    number or a messaging service) and `callback` (where receipts come) are Twilio's.
    """

    dialect: Literal["generic", "twilio"]
    url: str
    token: str = field(repr=False)
    account: str = ""
    sender: tuple[str, str] = ("", "")
    callback: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Gateway | None":
        """What SMS_URL and SMS_TOKEN say; None without SMS_URL. Raises `BadGateway`."""
        if settings.sms_url is None:
            return None
        parts = urlsplit(settings.sms_url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        given = settings.sms_token.get_secret_value() if settings.sms_token else ""
        host = parts.netloc.rpartition("@")[2]
        callback = settings.base_url + RECEIPTS
        if parts.scheme == "twilio":
            return _twilio(host, parts.hostname or "", parts.query, user, given or password, callback)
        token = given or password or user
        if len(token) < SHORTEST_TOKEN:
            raise BadGateway(f"SMS_TOKEN manque, ou a moins de {SHORTEST_TOKEN} caractères")
        url = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
        return cls("generic", url, token)


def _twilio(host: str, name: str, query: str, account: str, token: str, callback: str) -> Gateway:
    options = dict(parse_qsl(query.replace("+", "%2B")))
    service, number = options.get("service", ""), options.get("from", "")
    if not account or not token:
        raise BadGateway("il faut twilio://COMPTE:JETON@api.twilio.com, ou le jeton dans SMS_TOKEN")
    if not service and not NUMBER.fullmatch(number):
        raise BadGateway("il faut ?from=+1… ou ?service=MG… après l’adresse de Twilio")
    scheme = "http" if name in _LOOPBACK else "https"
    return Gateway(
        "twilio",
        f"{scheme}://{host}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json",
        token,
        account=account,
        sender=("MessagingServiceSid", service) if service else ("From", number),
        callback=callback,
    )


class TextMessages:
    """One client of one gateway."""

    def __init__(self, gateway: Gateway, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._gateway = gateway
        self._seconds = answer_seconds
        self._client: httpx.AsyncClient | None = None

    async def send(self, text: str, *, to: str, id_: UUID) -> str | None:
        """Hand `text` over; returning means that the gateway has taken it. Raises `NotNow`, `Refused`.

        The same `id_` again is the same message. Returns the gateway's own name for it, if it gave one.
        """
        if not NUMBER.fullmatch(to):
            raise Refused("SMS NUMBER unreadable", no_such_address=True)
        request = _to_twilio if self._gateway.dialect == "twilio" else _to_generic
        try:
            answer = await self._open().send(request(self._open(), self._gateway, text, to, id_))
        except httpx.HTTPError as error:
            raise NotNow(f"SMS {type(error).__name__}") from None
        return _read(self._gateway.dialect, answer)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            # The environment's proxies and certificates are the operator's affair with SMS_URL alone.
            self._client = httpx.AsyncClient(
                timeout=self._seconds, trust_env=False, follow_redirects=False, max_redirects=0
            )
        return self._client


def receipt_address(callback: str, id_: UUID) -> str:
    """Where Twilio sends its receipts of one message: the address is part of what it signs."""
    return f"{callback}?{urlencode({'id': str(id_)})}"


def _to_generic(client: httpx.AsyncClient, gateway: Gateway, text: str, to: str, id_: UUID) -> httpx.Request:
    headers = {"Authorization": f"Bearer {gateway.token}", "Idempotency-Key": str(id_)}
    return client.build_request(
        "POST", gateway.url, json={"to": to, "text": text, "id": str(id_)}, headers=headers
    )


def _to_twilio(client: httpx.AsyncClient, gateway: Gateway, text: str, to: str, id_: UUID) -> httpx.Request:
    sender, value = gateway.sender
    form = {"To": to, sender: value, "Body": text, "StatusCallback": receipt_address(gateway.callback, id_)}
    authorization = httpx.BasicAuth(gateway.account, gateway.token)
    request = client.build_request("POST", gateway.url, data=form)
    return next(authorization.sync_auth_flow(request))


def _read(dialect: str, answer: httpx.Response) -> str | None:
    """The gateway's name for a message that it took, or `NotNow`, `Refused`."""
    body = _object(answer)
    if answer.is_success:
        return _name(body.get("sid" if dialect == "twilio" else "reference"))
    if dialect == "generic" and answer.status_code == 409:
        return _name(body.get("reference"))  # it has this id already: a repeat after a crash
    code = clean_code(body.get("code"))
    reason = f"SMS {answer.status_code} {code}".strip()
    # Credentials, addresses and our own sender are ours to mend: only what concerns this message is final.
    ours = code in _OURS_TO_MEND if dialect == "twilio" else False
    if answer.status_code in (400, 422) and not ours:
        raise Refused(reason, no_such_address=is_no_mobile(code))
    raise NotNow(reason, after=_retry_after(answer))


_OURS_TO_MEND = frozenset({"20003", "21212", "21601", "21603", "21606", "21609", "21659", "21660", "21701"})
"""Twilio's errors about who sends, where receipts go, or the account."""
_NO_MOBILE = frozenset(
    {"invalid_number", "not_mobile", "unknown_number", "21211", "21217", "21614", "30005", "30006"}
)


def is_no_mobile(code: str) -> bool:
    """Whether a code says that no text message will ever arrive there: unknown, or a line in a wall."""
    return code in _NO_MOBILE


def clean_code(value: object) -> str:
    """A gateway's code, if it is one: words might quote a number or a text."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _CODE.fullmatch(text) and not _LONG_NUMBER.search(text) else ""


_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LONG_NUMBER = re.compile(r"\d[\d.-]{6,}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: httpx.Response) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds or a date; None for nonsense."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdecimal() and len(value) < 8:
        return timedelta(seconds=int(value))
    try:
        wait = parsedate_to_datetime(value) - datetime.now(UTC)
    except (ValueError, TypeError):
        return None
    return max(wait, timedelta())
