"""The floors: a bare FastAPI application, what the framework can do when nothing of ours is in its way.

`python -m bench.floors PORT DATABASE_URL`: one worker, uvloop, httptools. `CLAIM` is the whole of its work
for a registration, and what pgbench runs without any framework.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import uvicorn
from fastapi import FastAPI, Response
from starlette.requests import Request

from services.registrations.inputs import RegistrationRequest

SCHEMA = """
create table counter (session_id uuid primary key, seats integer not null, taken integer not null default 0)
    with (fillfactor = 50);
create table registration (id uuid primary key, session_id uuid not null, seq integer not null,
    name text not null, email text, created_at timestamptz not null default now());
create table outbox (id bigint generated always as identity primary key, topic text not null,
    key text not null, value text not null)
    with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create table probe (id bigint generated always as identity primary key);
"""
CLAIM = """
with claimed as (
    update counter set taken = taken + 1 where session_id = $1 and taken < seats returning taken
), registered as (
    insert into registration (id, session_id, seq, name, email)
    select $2, $1, taken, $3, $4 from claimed returning id, seq
), said as (
    insert into outbox (topic, key, value)
    select 'registrations', id::text, json_build_object('id', id, 'seq', seq, 'name', $3::text)::text
    from registered
)
select seq from registered
"""


def create(database_url: str) -> FastAPI:
    """The application; how many connections it uses, and which bytes it keeps, are set from outside."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool, app.state.kept = await _pool(database_url, 4), b""
        yield
        await app.state.pool.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.put("/pool/{size}", status_code=204)
    async def pool_size(size: int) -> None:
        await app.state.pool.close()
        app.state.pool = await _pool(database_url, size)

    @app.put("/kept", status_code=204)
    async def keep(request: Request) -> None:
        app.state.kept = await request.body()

    @app.get("/kept")
    async def kept() -> Response:
        return Response(app.state.kept, media_type="application/json")

    @app.post("/sessions/{session_id}/registrations", status_code=201)
    async def register(session_id: UUID, body: RegistrationRequest) -> dict[str, Any]:
        registration_id = uuid4()
        seq = await app.state.pool.fetchval(CLAIM, session_id, registration_id, body.name, body.contact.email)
        return {"id": registration_id, "session_id": session_id, "status": "confirmed", "seq": seq}

    @app.post("/sessions/{session_id}/validated", status_code=201)
    async def validate(session_id: UUID, body: RegistrationRequest) -> dict[str, Any]:
        return {"session_id": session_id, "status": "confirmed"}

    return app


async def _pool(database_url: str, size: int) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(database_url, min_size=size, max_size=size)


def main() -> None:
    port, database_url = sys.argv[1:]
    uvicorn.run(
        create(database_url),
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
