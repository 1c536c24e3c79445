"""What every plugin proves: `flowlang plugin test` prints it with the score."""

from __future__ import annotations

from typing import Any

import pytest
from flowlang.testing import VALUE, Call, Operations, PluginConformance, call

from flowlang_acme import AcmePlugin

TABLE = "CREATE TABLE IF NOT EXISTS it (id INTEGER PRIMARY KEY, v TEXT NOT NULL)"
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "


def query(words: str) -> Call:
    return call("acme_query", query=words)


def insert(*records: dict[str, Any]) -> Call:
    keys = {"on_conflict": "update", "key_fields": ["id"]}
    return call("acme_batch_insert", table="it", records=list(records), **keys)


def filling(count: int) -> Call:
    """The call that puts so many rows there, in place of those that were there."""
    rows = {"query": f"INSERT INTO it {NUMBERS} SELECT i, 'twenty characters ' || i FROM n", "params": [count]}
    return call("acme_transaction", queries=[{"query": "DELETE FROM it"}, rows])


class TestAcme(PluginConformance):
    plugin = AcmePlugin
    capabilities = {  # noqa: RUF012
        "network": "it is a file, not a server",
        "credentials": "a file has none",
        "tls": "there is no link to encrypt",
        "slow": "nobody but the process itself could look at what is running",
        "permission": "the rights are those of the file",
        "rate_limited": "it asks nobody to slow down",
        "unavailable": "it has no server that could be away",
    }
    settings = {"wrong_config": {"database": "/no-such-folder/it.db"}}  # noqa: RUF012
    operations = Operations(
        prepare=(call("acme_execute", query=TABLE), insert({"id": 1, "v": "one"})),
        read=query("SELECT v FROM it WHERE id = 1"),
        write=call("acme_execute", query="UPDATE it SET v = 'two' WHERE id = 1"),
        state=query("SELECT * FROM it ORDER BY id"),
        repeat=call("acme_batch_update", table="it", updates=[{"id": 1, "v": "three"}]),
        stream=call("acme_stream", query="SELECT * FROM it"),
        fill=filling,
        put=call("acme_execute", query="INSERT OR REPLACE INTO it VALUES (2, ?)", params=[VALUE]),
        get=query("SELECT v FROM it WHERE id = 2"),
        slow=query(NUMBERS.replace("?", "50000000") + "SELECT max(i) FROM n"),
        dirty=query("CREATE TEMP TABLE scratch (v TEXT)"),
        session=query("SELECT count(*) AS n FROM sqlite_temp_master"),
        bad_batch=insert({"id": 7, "v": "x"}, {"id": 8}),
        bad_item="record 2",
        fails={
            "not_found": query("SELECT * FROM no_such_table"),
            "conflict": call("acme_execute", query="INSERT INTO it VALUES (1, 'again')"),
            "validation": query("SELEC 1"),
        },
    )

    @pytest.fixture
    def config(self, settings: dict[str, Any]) -> dict[str, Any]:
        return settings
