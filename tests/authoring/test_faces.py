"""What plugins of their own stand on: a service over HTTP, and a database with a driver of PEP 249."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

import flowlang
from flowlang.connections import plugin_registry
from flowlang.connections.http.api import api, path
from flowlang.connections.sql import DbApiHandle, DbApiPlugin, Dialect, Driver
from flowlang.connections.typed import task


def test_a_path_is_made_of_encoded_parts() -> None:
    assert path("items", "a/b?c#d é") == "/items/a%2Fb%3Fc%23d%20%C3%A9"


def test_an_empty_part_would_name_something_else() -> None:
    with pytest.raises(flowlang.FlowExecutionError, match="a part of the path is empty"):
        path("items", "")


async def test_settings_that_the_type_http_refuses_are_refused() -> None:
    """As `config`, before anything is opened."""
    with pytest.raises(flowlang.FlowExecutionError, match="allow_private") as caught:
        async with api("http://127.0.0.1:9/v1"):
            pass
    assert caught.value.error_class == "config"


@dataclass(frozen=True)
class Config:
    file: Annotated[str, "Where it is"]


class Version(TypedDict):
    version: str


def told(error: BaseException) -> flowlang.FlowExecutionError:
    return flowlang.FlowExecutionError(str(error), error_class="conflict", retryable=False)


class Files(DbApiPlugin[Config]):
    """Files of SQLite, with a task of its own"""

    name = task_prefix = "files"
    version = "1.0.0"
    dialect = Dialect("Files", "qmark", empty_list="")

    def driver(self, config: Config) -> Driver:
        def connected() -> sqlite3.Connection:
            return sqlite3.connect(config.file, isolation_level=None, check_same_thread=False)

        return Driver(connected, told, (sqlite3.Error,), sqlite3.Connection.interrupt)

    @task(effect="read")
    async def engine(self, connection: DbApiHandle) -> Version:
        """Which version it is."""
        (row,) = await connection.fetch("SELECT sqlite_version() AS version", [], None)
        return {"version": row["version"]}


@pytest.fixture
def files() -> Iterator[None]:
    with plugin_registry.registered(Files):
        yield


def flow(steps: str, outputs: str) -> str:
    return f'flow: f\nconnections: {{db: {{type: files, file: "${{env.FILE}}"}}}}\nsteps:\n{steps}outputs:\n{outputs}'


async def test_own_tasks_stand_beside_the_six(files: None, tmp_path: Path) -> None:
    assert [*plugin_registry.tasks("files")] == [
        "files_query",
        "files_execute",
        "files_transaction",
        "files_batch_insert",
        "files_batch_update",
        "files_stream",
        "files_engine",
    ]
    text = flow("  - files_engine: {id: it}\n", '  - {name: it, value: "${it.version}"}\n')
    result = await flowlang.run(text=text, env={"FILE": str(tmp_path / "it.db")})
    assert result.outputs == {"it": sqlite3.sqlite_version}, result.failure


async def test_a_transaction_that_the_database_has_undone_keeps_nothing(files: None, tmp_path: Path) -> None:
    """What comes after it in the same transaction is refused, and not kept on its own."""
    plugin: Any = Files()
    await plugin.connect({"file": str(tmp_path / "it.db")})
    handle = await plugin.get_connection()
    await handle.run("CREATE TABLE it (id INTEGER PRIMARY KEY)", [])
    await handle.begin()
    await handle.run("INSERT INTO it VALUES (1)", [])
    inner = await handle.begin()
    await handle.run("INSERT INTO it VALUES (2)", [])
    await handle.rollback(inner)
    assert await handle.fetch("SELECT id FROM it", [], None) == [{"id": 1}]
    with pytest.raises(flowlang.FlowExecutionError):
        await handle.run("INSERT OR ROLLBACK INTO it VALUES (1)", [])
    with pytest.raises(flowlang.FlowExecutionError, match="rolled the transaction back"):
        await handle.run("INSERT INTO it VALUES (3)", [])
    await handle.rollback("")
    assert await handle.fetch("SELECT id FROM it", [], None) == []
    await plugin.release_connection(handle)
    await plugin.disconnect()
