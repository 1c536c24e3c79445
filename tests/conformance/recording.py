"""Writes down what the kit finds: which checks each mutant fails, and how the plugins and services do that are here.

    python -m tests.conformance.recording mutants           the table; `mutants 0 2` and `mutants 1 2` share the work
    python -m tests.conformance.recording builtin [TYPE …]  the built-in plugins, on servers of its own
    python -m tests.conformance.recording services          the services in YAML, on servers that speak as theirs do
    python -m tests.conformance.recording forms             the plugin of the guide in its three forms
    python -m tests.conformance.recording servers           the servers that the tests run against, by their own word

All are kept in docs/data/conformance.json, from which docs/generate.py makes the page.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

sys.path.append(str(Path(__file__).parent / "site"))

from tests.conformance import notes, subjects
from tests.conformance.double.server import serving
from tests.conformance.examining import examined
from tests.conformance.forms import FORMS
from tests.conformance.forms import OPERATIONS as OF_MYSERVICE
from tests.conformance.mutants import loaded, mutants
from tests.conformance.subjects import Stated
from tests.connections.conftest import forgotten
from tests.connections.guide import laying
from tests.connections.guide import service as myservice
from tests.servers.kinds import KINDS
from tests.servers.mongodb import SOURCES, FerretDB
from tests.services import servers as apis
from tests.services import stated as services_stated
from tests.services.conftest import config as service_config
from tests.services.conftest import shipped

import flowlang.connections
from flowlang.conformance import operations
from flowlang.conformance.model import Report, all_checks
from flowlang.services.files import plugin
from flowlang.testing import check_plugin

FILE = Path(__file__).resolve().parents[2] / "docs/data/conformance.json"
_numbers = count(1)


def mutant_table(share: int, of: int) -> None:
    """Write for each check the name of its mutant, and all checks that the mutant fails; every row as soon as it is
    known. `share` of `of`: several processes may each take their part of the rows."""
    operations.MANY, operations.HELD = 2_000, 2_000  # what is lost shows with fewer, too
    checks = all_checks()
    with serving() as server:
        for check in checks[share::of]:
            kind = loaded(mutants()[check.id])
            outcomes = [examined(each, kind, server, flawed=each.id == check.id) for each in checks]
            failed = [each.check.id for each in outcomes if each.status == "failed"]
            keep("mutants", {check.id: {"mutant": kind.__name__, "fails": failed}})
            sys.stderr.write(f"{check.id}: {len(failed)}\n")


def keep(part: str, rows: dict[str, Any]) -> None:
    """Add rows to a part of the file, and take out those of checks that there are no more."""
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        there = json.loads(file.read() or "{}")
        merged = {**there.get(part, {}), **rows}
        known = {each.id: None for each in all_checks()} if part == "mutants" else merged
        there[part] = {name: merged[name] for name in known if name in merged}
        file.truncate(0)
        file.write(json.dumps(there, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def places(stated: Stated) -> Iterator[Callable[[], dict[str, Any]]]:
    """A function that gives the config of an empty place, a new one each time."""
    with tempfile.TemporaryDirectory() as folder:
        if stated.name == "http":
            with notes.serving() as service:
                yield lambda: (service.kept.clear(), stated.configured(service.url))[1]
        elif stated.name == "sqlite":
            yield lambda: stated.configured(f"{folder}/{next(_numbers)}.db")
        else:
            server = KINDS[stated.name](Path(folder) / "server")
            server.start()
            try:
                yield lambda: stated.configured(asyncio.run(place_on(stated.name, server.url)))
            finally:
                server.remove()


async def place_on(name: str, url: str) -> str:
    """The URL of an empty place on a server, for an account with a password where the server has such."""
    place = f"place{next(_numbers)}"
    made = urlsplit(url)._replace(path=f"/{place}").geturl()
    if name == "postgres":
        import asyncpg

        admin = await asyncpg.connect(url)
        await admin.execute(f"CREATE DATABASE {place}")
        await admin.close()
        return await subjects.postgres_account(made)
    if name == "mysql":
        import asyncmy

        parts = urlsplit(url)
        admin = await asyncmy.connect(
            host=parts.hostname, port=parts.port, user=parts.username, password=parts.password
        )
        async with admin.cursor() as cursor:
            await cursor.execute(f"CREATE DATABASE {place} CHARACTER SET utf8mb4")
        admin.close()
        return await subjects.mysql_account(made)
    if name == "redis":
        import redis.asyncio

        client = redis.asyncio.from_url(url)
        await client.flushall()
        await client.aclose()
        return await subjects.redis_account(url)
    return made


def reports(names: list[str]) -> None:
    """Write for each type the outcome of each check, with its reason."""
    for stated in subjects.ALL:
        if names and stated.name not in names:
            continue
        with places(stated) as config:
            report = check_plugin(
                stated.plugin, config, capabilities=stated.capabilities, operations=stated.operations,
                settings=stated.settings,
            )  # fmt: skip
        sys.stderr.write(f"{report}\n")
        keep("builtin", {stated.name: as_record(report)})


def services() -> None:
    """The same for each of the three shipped services."""
    for name, stated in services_stated.OPERATIONS.items():
        with apis.serving(apis.KINDS[name][0]()) as api:
            report = check_plugin(
                plugin(shipped(name)), service_config(name, api), operations=stated,
                capabilities=services_stated.CAPABILITIES[name], settings=services_stated.SETTINGS,
            )  # fmt: skip
        sys.stderr.write(f"{report}\n")
        keep("services", {name: as_record(report)})


def forms() -> None:
    """Write for each form of the guide's plugin how long it is, and what it proves."""
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, forgotten():
            tree, site = Path(folder) / "tree", Path(folder) / "site"
            tree.mkdir()
            laying.client(site)
            patch.syspath_prepend(str(site))
            patch.setattr(flowlang.connections, "__path__", [*flowlang.connections.__path__, str(tree)])
            with myservice.serving() as service:
                config = {"api_key": myservice.KEY, "base_url": service.url, "timeout": 5.0, **form.settings}
                report = check_plugin(form.plugin(tree), config, operations=OF_MYSERVICE)
        sys.stderr.write(f"{report}\n")
        file = form.file.relative_to(FILE.parents[2]).as_posix()
        keep("forms", {form.name: {"file": file, "lines": form.lines, **as_record(report)}})


def as_record(report: Report) -> dict[str, Any]:
    return {
        "score": round(report.score, 4),
        "outcomes": {each.check.id: [each.status, each.reason] for each in report.outcomes},
    }


def servers() -> None:
    """Write for each type the servers that the tests start for it, as those name themselves."""
    names = {"sqlite": [f"SQLite {sqlite3.sqlite_version}"], "http": ["an HTTP service of the tests"]}
    names |= {name: [f"a server of the tests that answers as {kind.__name__} documents"]
              for name, (kind, _) in apis.KINDS.items()}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for kind, make in KINDS.items():
            server = make(Path(folder) / kind)
            server.start()
            try:
                owner = "mongodb" if kind == "ferretdb" else kind
                names.setdefault(owner, []).append(asyncio.run(named(kind, server.url)))
            finally:
                server.remove()
    keep("servers", names)


async def named(kind: str, url: str) -> str:
    """Name and version of a server, as it says."""
    if kind == "postgres":
        import asyncpg

        link = await asyncpg.connect(url)
        version = str(await link.fetchval("SHOW server_version"))
        await link.close()
        return f"PostgreSQL {version.split()[0]}"
    if kind == "mysql":
        import asyncmy

        parts = urlsplit(url)
        link = await asyncmy.connect(host=parts.hostname, port=parts.port, user=parts.username, password=parts.password)
        async with link.cursor() as cursor:
            await cursor.execute("SELECT version()")
            ((version,),) = await cursor.fetchall()
        link.close()
        return f"MariaDB {version.split('-')[0]}" if "MariaDB" in version else f"MySQL {version}"
    if kind == "redis":
        import redis.asyncio

        async with redis.asyncio.from_url(url) as client:
            return f"Redis {(await client.info('server'))['redis_version']}"
    if kind == "ferretdb":
        return f"FerretDB {FerretDB.module.partition('@v')[2]}"
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient(url) as client:
        told = await client.admin.command("buildInfo")
    if "gitVersion" in told:
        return f"MongoDB {told['version']}"
    built = re.search(
        r"mongo-java-server.*?<version>([\d.]+)</version>", (SOURCES / "pom.xml").read_text("utf-8"), re.DOTALL
    )
    assert built is not None
    return f"mongo-java-server {built[1]}"


def main(part: str, *words: str) -> None:
    alone = {"servers": servers, "services": services, "forms": forms}
    if part == "mutants":
        share, of = map(int, words or ("0", "1"))
        mutant_table(share, of)
    elif part in alone:
        alone[part]()
    else:
        reports(list(words))


if __name__ == "__main__":
    main(*sys.argv[1:])
