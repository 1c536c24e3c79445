"""What tests ask for: an empty place on a shared server, or a server of their own.

A server whose programs are missing skips the test and says why; in CI it fails it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.kinds import KINDS, PROGRAMS
from tests.servers.process import PATIENCE, Missing, Server

# Read at import: tests run without the FLOWLANG_ settings of the machine.
GIVEN = {kind: os.environ.get(f"FLOWLANG_TEST_{kind.upper()}_URL") for kind in KINDS}
_numbers = count(1)
ROOT = Path(__file__).resolve().parents[2]

Shared = Callable[[str], str]

# What makes a used database of PostgreSQL like a new one: what tests leave lies in schemas, and in its own rights.
EMPTIED = """
DO $$
DECLARE made name;
BEGIN
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
    FOR made IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', made);
    END LOOP;
    CREATE SCHEMA public;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
END $$
"""


def require(kind: str) -> None:
    """Skip the test (in CI: fail it) when the programs of a server are missing."""
    try:
        PROGRAMS[kind].require()
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shared:
    """Gives the URL of this run's server of a kind, starting it when nobody has."""
    base = tmp_path_factory.getbasetemp()
    root = base if worker_id == "master" else base.parent
    owner = os.getpid() if worker_id == "master" else os.getppid()
    urls: dict[str, str] = {}

    def url(kind: str) -> str:
        if kind not in urls:
            urls[kind] = GIVEN[kind] or _shared(kind, root / f"server-{kind}", owner)
        return urls[kind]

    return url


def _shared(kind: str, folder: Path, owner: int) -> str:
    require(kind)
    try:
        folder.mkdir()
    except FileExistsError:
        pass  # another worker was first
    else:
        words = [sys.executable, "-m", "tests.servers.keeper", kind, str(folder), str(owner)]
        with (folder / "log").open("wb") as log:
            subprocess.run(
                words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=True
            )  # a test may have changed the working directory
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        if (folder / "url").exists():
            return (folder / "url").read_text()
        if (folder / "error").exists():
            pytest.fail((folder / "error").read_text())
        time.sleep(0.05)
    pytest.fail(f"no {kind} within {2 * PATIENCE} s; {folder / 'log'} may say why")


def place(worker: str) -> str:
    """A name that no other test of any run uses."""
    return f"t_{worker}_{os.getpid()}_{next(_numbers)}"


@pytest.fixture(scope="session")
def postgres_database(shared_server: Shared, worker_id: str) -> Iterator[str]:
    """The URL of the worker's own database on PostgreSQL: making one for each test would take longer than the tests."""
    url, name = shared_server("postgres"), place(worker_id)
    _elsewhere(_on_postgres(url, f"CREATE DATABASE {name} TEMPLATE template0"))
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    _elsewhere(_on_postgres(url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def postgres_url(postgres_database: str) -> str:
    """The URL of an empty database on PostgreSQL, without any session."""
    await _on_postgres(
        postgres_database,
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        EMPTIED,
    )
    return postgres_database


async def _on_postgres(url: str, *statements: str) -> None:
    import asyncpg

    session = await asyncpg.connect(url)
    try:
        for each in statements:
            await session.execute(each)
    finally:
        await session.close()


def _elsewhere(work: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine to its end on a loop of its own: that of a test is not there for what outlives the test."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture
async def mysql_url(shared_server: Shared, worker_id: str) -> AsyncIterator[str]:
    """The URL of an empty database on MariaDB or MySQL."""
    import asyncmy

    url, name = shared_server("mysql"), place(worker_id)
    parts = urlsplit(url)
    admin = await asyncmy.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or ""
    )
    try:
        async with admin.cursor() as cursor:
            await cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            yield parts._replace(path=f"/{name}").geturl()
            await cursor.execute(f"DROP DATABASE {name}")
    finally:
        admin.close()


@pytest.fixture
async def redis_url(shared_server: Shared, worker_id: str) -> AsyncIterator[str]:
    """The URL of a numbered database on Redis, emptied; each worker has its own number."""
    import redis.asyncio

    parts = urlsplit(shared_server("redis"))
    number = int(parts.path.strip("/") or 0) + (0 if worker_id == "master" else int(worker_id.removeprefix("gw")) + 1)
    url = parts._replace(path=f"/{number}").geturl()
    client = redis.asyncio.from_url(url)
    try:
        await client.flushdb()
        yield url
    finally:
        await client.aclose()


# PyMongo (4.20, `_async_create_connection`) lets go of a socket without closing it when it is cancelled while it
# connects or greets the server, as it does to its monitor whenever a client is closed. Python closes it once found.
LOST = "<socket.socket "


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of MongoDB bears PyMongo's lost sockets, if they are found while it runs."""
    lost = pytest.mark.filterwarnings(f"ignore:Exception ignored in. {LOST}:pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if "mongo" in item.nodeid.lower() or any("mongo" in name for name in getattr(item, "fixturenames", ())):
            item.add_marker(lost)


@pytest.fixture
def found_sockets() -> Iterator[None]:
    """Finds PyMongo's lost sockets after a test, before another one is blamed for them."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f"unclosed {LOST}", ResourceWarning)
        gc.collect()


async def _database(url: str, worker: str) -> AsyncIterator[str]:
    from pymongo import AsyncMongoClient

    name = place(worker)
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    async with AsyncMongoClient(url) as client:
        await client.drop_database(name)


@pytest.fixture
async def mongodb_url(shared_server: Shared, worker_id: str, found_sockets: None) -> AsyncIterator[str]:
    """The URL of an empty database on a server that speaks MongoDB's protocol."""
    async for url in _database(shared_server("mongodb"), worker_id):
        yield url


@pytest.fixture
async def ferretdb_url(shared_server: Shared, worker_id: str, found_sockets: None) -> AsyncIterator[str]:
    """The URL of an empty database on FerretDB, the other server of that protocol."""
    async for url in _database(shared_server("ferretdb"), worker_id):
        yield url


def own_server(kind: type[Server], folder: Path) -> Iterator[Server]:
    """A server of the test's own; removed when the test ends."""
    server = kind(folder / f"own-{kind.kind}")
    server.start()
    yield server
    server.remove()


def _own(kind: str, folder: Path) -> Iterator[Server]:
    require(kind)
    yield from own_server(KINDS[kind], folder)


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Server]:
    """A PostgreSQL of the test's own, to stop, kill and freeze."""
    yield from _own("postgres", tmp_path)


@pytest.fixture
def own_mysql(tmp_path: Path) -> Iterator[Server]:
    """A MariaDB of the test's own, to stop, kill and freeze."""
    yield from _own("mysql", tmp_path)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis of the test's own, to stop, kill and freeze."""
    yield from _own("redis", tmp_path)


@pytest.fixture
def own_mongodb(tmp_path: Path, found_sockets: None) -> Iterator[Server]:
    """A server of MongoDB's protocol of the test's own, to stop, kill and freeze."""
    yield from _own("mongodb", tmp_path)


@pytest.fixture
def own_ferretdb(tmp_path: Path, found_sockets: None) -> Iterator[Server]:
    """A FerretDB of the test's own, which keeps its data over a restart."""
    yield from _own("ferretdb", tmp_path)
