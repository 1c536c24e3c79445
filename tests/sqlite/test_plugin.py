"""SQLite as a plugin: registered, specified, and its example."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.connections import plugin_registry
from flowlang.connections.sqlite.provider import SQLitePlugin
from flowlang.tasks.signature import spec_of

TASKS = {"query", "execute", "transaction", "batch_insert", "batch_update", "stream"}


def test_it_is_registered_under_its_name() -> None:
    """As the guide says."""
    assert isinstance(plugin_registry.get("sqlite"), SQLitePlugin)


def test_its_tasks_have_the_documented_names() -> None:
    """Six of them."""
    assert set(SQLitePlugin().get_builtin_tasks()) == {f"sqlite_{word}" for word in TASKS}


@pytest.mark.parametrize("word", sorted(TASKS))
def test_each_task_is_fully_specified(word: str) -> None:
    """Parameters and outputs described, effect stated, an example that names this very task."""
    spec = spec_of(SQLitePlugin().get_builtin_tasks()[f"sqlite_{word}"], name=f"sqlite_{word}")
    assert spec.summary
    assert spec.injects == {"connection"}
    assert spec.effect == ("read" if word in ("query", "stream") else "write")
    assert spec.idempotent is not None
    assert spec.outputs
    assert set(spec.returns) == set(spec.outputs)
    assert all(each.description for each in spec.parameters)
    assert spec.example is not None
    assert spec.example.startswith(f"- sqlite_{word}:")
    assert "MARK" not in str(spec.parameters)


def test_statements_are_texts_that_bind() -> None:
    """Also those inside a transaction."""
    tasks = SQLitePlugin().get_builtin_tasks()
    for word in ("query", "execute", "stream"):
        parameter = spec_of(tasks[f"sqlite_{word}"], name=word).parameter("query")
        assert parameter is not None
        assert parameter.form == "sql"
    queries = spec_of(tasks["sqlite_transaction"], name="t").parameter("queries")
    assert queries is not None
    assert queries.type.items is not None
    assert queries.type.items.fields is not None
    assert queries.type.items.fields["query"].kind in ("sql", "string")


def test_the_snippet_and_the_example_name_the_connection(tmp_path: Path) -> None:
    """As `connection scaffold` and `connection example` write them."""
    plugin = SQLitePlugin()
    assert plugin.scaffold_connection_config("store").strip().startswith("store:")
    path = plugin.scaffold_example_flow(str(tmp_path), "store")
    text = Path(path).read_text()
    assert "store:" in text
    assert "connection: store" in text
    assert "connection: db" not in text
