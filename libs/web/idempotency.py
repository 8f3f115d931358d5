"""`Idempotency-Key`: a POST sent again with its key and body is answered again, and done once."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from fastapi import Depends
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.web.auth import bearer_of, staff_of
from libs.web.i18n import _
from libs.web.problems import Malformed, Problem
from libs.web.validation import FieldError

HEADER = "Idempotency-Key"


class KeyReused(Problem):
    """The key is known with another body; nothing of the first answer is revealed."""

    status = 422
    slug = "idempotency-key-reused"
    title = _("Cette clé a déjà servi à un autre envoi")
    detail = _("Prenez une nouvelle clé Idempotency-Key pour cet envoi.")


def idempotency_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the table of known keys in a service's own `metadata`. `answer` is None until it is kept."""
    return sa.Table(
        "idempotency",
        metadata,
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("credential", sa.LargeBinary, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("answer", JSONB),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            index=True,
        ),
    )


# Claiming waits for another transaction that holds the same key: when it commits, its answer is found;
# when it rolls back, the key is free and this request does the work. A key older than 24 h starts anew.
_CLAIM = sa.text(
    "insert into idempotency as known (route, credential, key, body_hash)"
    " values (:route, :credential, :key, :body_hash)"
    " on conflict (route, credential, key) do update"
    " set body_hash = excluded.body_hash, answer = null, created_at = now()"
    " where known.created_at < now() - interval '24 hours'"
    " returning true"
)
_FIND = sa.text(
    "select body_hash, answer from idempotency"
    " where route = :route and credential = :credential and key = :key"
)
_KEEP = sa.text(
    "update idempotency set answer = :answer where route = :route and credential = :credential and key = :key"
).bindparams(sa.bindparam("answer", type_=JSONB))
_PURGE = sa.text("delete from idempotency where created_at < now() - interval '24 hours'")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One POST and its key, if it has one."""

    route: str
    credential: bytes
    key: str | None
    body_hash: bytes

    async def known(self, session: AsyncSession) -> dict[str, Any] | None:
        """The answer kept under this key, or None: then do the work and `keep` its answer.

        Call it first in the transaction of the work. Raises `KeyReused` for another body.
        """
        if self.key is None:
            return None
        if (await session.execute(_CLAIM, self._row() | {"body_hash": self.body_hash})).first() is not None:
            return None
        row = (await session.execute(_FIND, self._row())).one()
        if bytes(row.body_hash) != self.body_hash:
            raise KeyReused
        answer: dict[str, Any] | None = row.answer
        return answer

    async def keep(self, session: AsyncSession, answer: dict[str, Any]) -> None:
        """Remember what was answered (JSON), for 24 hours."""
        if self.key is not None:
            await session.execute(_KEEP, self._row() | {"answer": answer})

    def _row(self) -> dict[str, object]:
        return {"route": self.route, "credential": self.credential, "key": self.key}


async def _idempotency(request: Request) -> Idempotency:
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= 255 and "\0" not in key):
        raise Malformed(errors=[FieldError(HEADER, _("La clé doit avoir de 1 à 255 caractères."))])
    return Idempotency(
        route=f"{request.method} {request.url.path}",
        credential=_digest(_credential(request).encode()),
        key=key,
        body_hash=_digest(canonical(await request.body())),
    )


IdempotencyKey = Annotated[Idempotency, Depends(_idempotency)]


async def purge_keys(session: AsyncSession) -> None:
    """Forget the keys that are older than 24 hours."""
    await session.execute(_PURGE)


def canonical(body: bytes) -> bytes:
    """The same bytes for the same JSON, however its members are ordered or spaced."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        return body


def _credential(request: Request) -> str:
    bearer = bearer_of(request)
    if bearer is not None:
        return f"bearer:{bearer}"
    staff = staff_of(request)
    return f"staff:{staff.id}" if staff else "public"


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
