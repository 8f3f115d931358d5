"""The one place that reads the environment: frozen, typed, checked at the start."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from libs.messaging.federated import CALENDAR_DOMAIN
from libs.messaging.kafka.address import SCHEME, read_address
from libs.messaging.signing import read_key
from libs.opening_hours import week_of
from libs.web.validation import message_of

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if value is None:
            return None
        if "kafka" in schemes and value.startswith(SCHEME):
            read_address(value)
            return value
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError("donnez une adresse comme " + " ou ".join(f"{s}://hôte:port" for s in schemes))
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("le port n’est pas un nombre de 0 à 65535") from None
        return value

    return AfterValidator(check)


def _slug(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", value):
        raise ValueError("donnez de 1 à 31 lettres a-z, chiffres ou traits d’union, une lettre d’abord")
    return value


def _domain(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(CALENDAR_DOMAIN, value):
        raise ValueError("donnez un nom de domaine")
    return value


def usual_calendar_domain(instance: str) -> str:
    """What follows the @ of calendar identities where CALENDAR_DOMAIN says nothing else."""
    return f"{instance}.tournee.internal"


def _opening_hours(value: str) -> str:
    week_of(value)
    return value


def _numbers(value: object) -> object:
    """`7,1` as a list of numbers; an empty value is none at all."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


_Replica = Annotated[str, Field(pattern=r"^[a-z]+=[^=/\s]+:\d+$")]
"""The service's name and where the replica answers: `events=events-1:8000`."""


class Settings(BaseSettings):
    """What an operator can set. Every field is an environment variable of the same name, upper-case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    data_dir: Path = Path("var")
    database_url: Annotated[str | None, _with_scheme("postgresql", "postgres")] = None
    bus_url: Annotated[str | None, _with_scheme("postgresql", "postgres", "kafka")] = None
    kafka_replication: Annotated[int | None, Field(ge=1, le=9)] = None
    """Copies of each topic on Kafka; unset: 3, or as many as there are brokers."""
    national_bus_url: Annotated[str | None, _with_scheme("postgresql", "postgres", "kafka")] = None
    """The national instance's bus, with the credentials it gave; unset, this instance feeds its own view."""
    smtp_url: Annotated[str | None, _with_scheme("smtp", "smtps")] = None
    sms_url: Annotated[str | None, _with_scheme("https", "http", "twilio")] = None
    """The gateway that takes text messages (docs/sms.md); unset, somebody calls a mobile telephone."""
    sms_token: SecretStr | None = None
    """The secret shared with the gateway, when it doesn't stand in SMS_URL."""
    public_url: Annotated[str | None, _with_scheme("http", "https")] = None
    instance: Annotated[str, AfterValidator(_slug)] = "demo"
    instance_name: str = "Capitale-Nationale"
    phone: str = "418 555-0142"
    phone_hours_fr: str = "du lundi au vendredi, de 9 h à 16 h"
    phone_hours_en: str = "Monday to Friday, 9 a.m. to 4 p.m."
    mail_from: str | None = None
    calendar_domain: Annotated[str | None, AfterValidator(_domain)] = None
    secret_key: SecretStr | None = None
    admin_token: SecretStr | None = None
    signing_key: SecretStr | None = None
    """The Ed25519 key that signs what leaves the region: 32 bytes in base64."""
    national_token: SecretStr | None = None
    """A bearer token for the national view alone: figures and public facts, nobody's name."""
    demo: bool = True
    reminder_days: Annotated[
        tuple[Annotated[int, Field(ge=1, le=60)], ...], NoDecode, BeforeValidator(_numbers)
    ] = (7, 1)
    """Days before a session at which confirmed people are reminded, as in `7,1`."""

    office_hours: Annotated[str, AfterValidator(_opening_hours)] = "mo-fr 09:00-16:00"
    """When the team calls and posts, as in `mo-th 09:00-12:00,13:00-16:00; fr 09:00-12:00`, or `24/7`.

    Offers made by hand last their hours of this clock. Public holidays are added by themselves.
    """

    national_calendar_public: bool = False
    """Whether the calendar of the country, which holds public facts only, is shown without signing in."""

    mail_catcher: bool = False
    """Set by the runners when SMTP_URL is unset: mail is caught and shown to staff."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    """How long a service that got SIGTERM goes on answering, while /health already says that it leaves."""
    replicas: Annotated[tuple[_Replica, ...], NoDecode, BeforeValidator(_words)] = ()
    """Every replica of every service, as in `events=events-1:8000 events=events-2:8000`."""
    identity_days: Annotated[int, Field(ge=1)] = 90
    """Days after a session at which its people's names and contacts are erased."""
    accommodation_days: Annotated[int, Field(ge=1)] = 14
    """Days after a session at which what people needed that day is erased."""

    @model_validator(mode="after")
    def _mail_catcher_stays_home(self) -> Self:
        if self.smtp_url is None and self.host not in _LOOPBACK:
            raise ValueError(
                "SMTP_URL manque, alors que HOST n’est pas une adresse locale : "
                "le capteur de courriels montrerait chaque message à qui atteint ce port"
            )
        return self

    @model_validator(mode="after")
    def _secrets_are_long(self) -> Self:
        for name in ("secret_key", "admin_token", "national_token", "sms_token"):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None and len(secret.get_secret_value()) < 16:
                raise ValueError(f"{name.upper()} doit avoir au moins 16 caractères")
        return self

    @model_validator(mode="after")
    def _text_messages_are_private(self) -> Self:
        parts = urlsplit(self.sms_url or "")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(
                "SMS_URL doit commencer par https:// : un message porte le lien personnel de qui le reçoit"
            )
        return self

    @model_validator(mode="after")
    def _signing_key_is_a_key(self) -> Self:
        if self.signing_key is not None:
            try:
                read_key(self.signing_key.get_secret_value())
            except ValueError as error:
                raise ValueError(f"SIGNING_KEY : {error}") from None
        return self

    @property
    def base_url(self) -> str:
        """The address that links are built from, without a final slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def uid_domain(self) -> str:
        """The right side of every calendar UID and Message-ID; it never changes for an instance."""
        return self.calendar_domain or usual_calendar_domain(self.instance)

    @property
    def secret(self) -> str:
        """SECRET_KEY, which the runner has generated by now if nobody gave one."""
        if self.secret_key is None:
            raise BadSettings("SECRET_KEY manque : il la faut quand les services tournent séparément.")
        return self.secret_key.get_secret_value()

    @property
    def signing_secret(self) -> str:
        """SIGNING_KEY, which the runner has generated by now if nobody gave one."""
        if self.signing_key is None:
            raise BadSettings("SIGNING_KEY manque : il la faut quand les services tournent séparément.")
        return self.signing_key.get_secret_value()


class BadSettings(Exception):
    """An environment variable has a value that can't be used; the text names it."""


def read_settings(**overrides: object) -> Settings:
    """Settings from the environment and `overrides`, or `BadSettings` with a sentence for a person."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        raise BadSettings("\n".join(_sentence(item) for item in error.errors(include_input=False))) from None


def _sentence(item: Mapping[str, Any]) -> str:
    """The variable and what is wrong with it; never its value, which may be a secret."""
    raised = (item.get("ctx") or {}).get("error")
    reason = str(raised) if isinstance(raised, ValueError) else str(message_of(item)).rstrip(".")
    where = str(item["loc"][0]).upper() if item["loc"] else ""
    return f"{where} : {reason}." if where else f"{reason}."
