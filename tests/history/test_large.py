"""Values that are large: of one that is cut to a line, no more is looked at than the line shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowlang
from flowlang import runs
from flowlang.cli.app import serve
from flowlang.durable.database import Row
from flowlang.durable.opening import open_store
from flowlang.durable.store import Store
from flowlang.history.following import followed
from flowlang.history.listing import Filter, listed
from flowlang.history.story import Story
from flowlang.views.result import beginning, inline, outputs_text
from flowlang.views.text import cut

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=40,
)


class Long(list[Any]):
    """A list of which nobody should look at more than the beginning."""

    def __iter__(self) -> Iterator[Any]:
        for at, each in enumerate(super().__iter__()):
            assert at < 500
            yield each


@settings(max_examples=100, database=None)
@given(VALUES, st.integers(2, 60))
def test_a_value_is_cut_as_if_all_of_it_had_been_written_down(value: Any, width: int) -> None:
    assert cut(inline(beginning(value, width)), width) == cut(inline(value), width)


def test_what_is_not_shown_is_not_looked_at() -> None:
    rows = Long(range(100_000))
    assert inline(beginning({"rows": rows}, 100)).startswith('{"rows": [0, 1, 2')
    assert outputs_text({"lists": [{"it": rows}]}).startswith("lists:")


def test_the_story_of_a_run_with_large_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not written out for nobody to read, as asyncio does with what its main task returns."""
    monkeypatch.setattr(Story, "__repr__", lambda _: pytest.fail("the whole story as one text"))
    file, url = tmp_path / "f.yaml", f"sqlite:///{tmp_path}/runs.db"
    file.write_text("flow: f\ninputs: [{name: rows, type: array}]\nsteps:\n  - log: hello\n")

    async def begun() -> str:
        result = await runs.run(flowlang.load(file), {"rows": list(range(20_000))}, store=url)
        async with await open_store(url) as store:
            (known,) = await listed(store, Filter())
            assert (known.run.inputs, known.run.outputs) == ("", None), "a list is without them"
        return str(result.run_id)

    run_id = asyncio.run(begun())
    capsys.readouterr()
    assert serve(["runs", "show", run_id, "--store", url]) == 0
    assert "inputs    rows = [0, 1, 2, 3" in capsys.readouterr().out
    assert serve(["runs", "show", run_id, "--json", "--store", url]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"] == {"rows": list(range(20_000))}


async def test_who_follows_a_run_does_not_read_what_it_was_given(
    store: Store, store_url: str, flows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look asks for what can have changed, and for the events behind the last that were seen."""
    file = flows.write("- wait: {signal: go}\n- log: gone on", more="inputs: [{name: given, type: string}]\n")
    async with await open_store(store_url) as reader, runs.hosting(store) as host:
        read: list[str] = []
        fetch = reader.database.fetch

        async def spied(statement: str, **values: Any) -> Sequence[Row]:
            rows = await fetch(statement, **values)
            read.extend(str(dict(row)) for row in rows)
            return rows

        monkeypatch.setattr(reader.database, "fetch", spied)
        handle = await runs.begin(host, flowlang.load(file), {"given": "x" * 100_000})
        told = []
        async for each in followed(reader, str(handle.run_id)[:13], follow=True):
            if not told:
                await runs.send_signal(str(handle.run_id), "go", store=store)
            told.append(each["event"])
        await handle
    assert told[-1] == "run_finished"
    assert read
    assert max(map(len, read)) < 10_000
    assert sum("run_started" in each for each in read) == 1
