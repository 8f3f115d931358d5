"""Models equal migrations, in every service: `make check` proves it, on both majors in `make test`."""

from collections.abc import Awaitable, Callable

import pytest

from deploy.hosting import SERVICES
from libs.migrations import check


@pytest.mark.parametrize("service", SERVICES)
async def test_the_migrations_make_what_the_models_say(
    service: str, database_url: Callable[[str], Awaitable[str]]
) -> None:
    await check(await database_url("empty"), f"services.{service}")
