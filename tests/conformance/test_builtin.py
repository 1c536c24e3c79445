"""The built-in plugins pass both tiers, against real servers."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from flowlang.connections.sqlite import SQLitePlugin
from flowlang.testing import VALUE, Operations, PluginConformance, call

SLOW_SQLITE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000000) SELECT max(i) FROM n"
SQLITE = Operations(
    prepare=(
        call("sqlite_execute", query="CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)"),
        call("sqlite_execute", query="INSERT OR REPLACE INTO t VALUES (1, 'one')"),
    ),
    read=call("sqlite_query", query="SELECT v FROM t WHERE id = 1"),
    write=call("sqlite_execute", query="UPDATE t SET v = 'two' WHERE id = 1"),
    state=call("sqlite_query", query="SELECT * FROM t ORDER BY id"),
    repeat=call("sqlite_batch_update", table="t", updates=[{"id": 1, "v": "three"}]),
    slow=call("sqlite_query", query=SLOW_SQLITE),
    stream=call("sqlite_stream", query="SELECT * FROM t"),
    fill=lambda count: call(
        "sqlite_transaction",
        queries=[
            {"query": "DELETE FROM t"},
            {
                "query": "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                "SELECT i, 'twenty characters ' || i FROM n",
                "params": [count],
            },
        ],
    ),
    put=call("sqlite_execute", query="INSERT OR REPLACE INTO t VALUES (2, ?)", params=[VALUE]),
    get=call("sqlite_query", query="SELECT v FROM t WHERE id = 2"),
    dirty=call("sqlite_execute", query="CREATE TEMP TABLE t (v TEXT)"),
    session=call("sqlite_query", query="SELECT count(*) AS n FROM sqlite_temp_master"),
    bad_batch=call("sqlite_batch_insert", table="t", records=[{"id": 7, "v": "x"}, {"id": 8}]),
    bad_item="record 2",
    fails={
        "not_found": call("sqlite_query", query="SELECT * FROM no_such_table"),
        "conflict": call("sqlite_execute", query="INSERT INTO t VALUES (1, 'again')"),
        "validation": call("sqlite_query", query="SELEC 1"),
    },
)


class TestSqlite(PluginConformance):
    plugin = SQLitePlugin
    operations = SQLITE
    settings: ClassVar = {"wrong_config": {"database": "/no-such-folder/x.db"}}
    capabilities: ClassVar = {
        "slow": "nobody but the process itself could look at what is running",
        "network": "it is a library, not a server",
        "credentials": "a file has none; the rights of its folder protect it",
        "tls": "there is no link to encrypt",
        "permission": "the rights are those of the file, met when it is opened",
        "rate_limited": "SQLite asks nobody to slow down",
        "unavailable": "SQLite has no server that could be away",
    }

    @pytest.fixture
    def config(self, tmp_path: Path) -> dict[str, str]:
        return {"database": str(tmp_path / "it.db")}
