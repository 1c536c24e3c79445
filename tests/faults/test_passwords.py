"""A password that is changed while a flow runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from .conftest import _ALL, FAULT, Service, behind
from .services import mysql_value, postgres_value

OLD, NEW = "old-canary-51", "new-canary-52"
_SQL = [each for each in _ALL if each.id in ("postgres", "mysql")]


@pytest.fixture
async def account(service: Service, direct: str) -> AsyncIterator[tuple[str, str]]:
    """An account of the test's own on the shared server: its URL, and the statement that changes its password."""
    at = urlsplit(direct)
    ask = postgres_value if service.kind == "postgres" else mysql_value
    name = f"r_{at.path[1:]}"[-30:]
    await service.prepare(direct)
    if service.kind == "postgres":
        if not await ask(direct, "SELECT count(*) FROM pg_roles WHERE rolname = 'guarded'"):
            await ask(direct, "CREATE ROLE guarded")
        await ask(direct, f"CREATE ROLE {name} LOGIN PASSWORD '{OLD}' IN ROLE guarded")
        await ask(direct, f"GRANT SELECT ON writes TO {name}")
        change, drop = f"ALTER ROLE {name} PASSWORD '{NEW}'", f"DROP OWNED BY {name}; DROP ROLE {name}"
    else:
        await ask(direct, f"CREATE USER {name}@'%' IDENTIFIED BY '{OLD}'")
        await ask(direct, f"GRANT SELECT ON {at.path[1:]}.* TO {name}@'%'")
        change, drop = f"ALTER USER {name}@'%' IDENTIFIED BY '{NEW}'", f"DROP USER {name}@'%'"
    yield at._replace(netloc=f"{name}:{OLD}@{at.hostname}:{at.port}").geturl(), change
    if service.kind == "postgres":
        for each in drop.split("; "):
            await ask(direct, each)
    else:
        await ask(direct, drop)


@pytest.mark.parametrize("service", _SQL, indirect=True)
async def test_new_sessions_are_refused_and_the_old_go_on(
    service: Service, direct: str, account: tuple[str, str]
) -> None:
    """Threat 36: `auth`, which no retry mends, with the account in the message and no password."""
    url, change = account
    ask = postgres_value if service.kind == "postgres" else mysql_value
    async with behind(service, url) as place:

        async def rotate() -> None:
            await ask(direct, change)

        await place.ok(service.read, FAULT, service.read, fault=[rotate], **{service.pool_key: 1})
        await ask(direct, change.replace(NEW, OLD))

        async def rotate_and_lose() -> None:
            await rotate()
            await place.proxy.sever()

        guarded = {"try": [service.read], "catch": [{"do": [{"log": "${error.type}"}]}]}
        failure = await place.failed(guarded, FAULT, guarded, service.read, fault=[rotate_and_lose])
        assert (failure.type, failure.retryable) == ("auth", False), failure
        assert OLD not in f"{failure.detail} {failure.cause}"
        assert urlsplit(url).username in failure.detail  # type: ignore[operator]
        await ask(direct, change.replace(NEW, OLD))  # for the count of what is left
