"""Durable runs through the library: what is recorded, how they go on, what is never written down."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.durable import workers
from tests.durable.workers import holding_flow, lines

from flowlang import api, runs
from flowlang.durable.lines import parsed
from flowlang.durable.opening import open_store
from flowlang.durable.store import Store
from flowlang.engine.result import RunResult

HERE = Path(__file__).parent
Write = Callable[..., str]


@pytest.fixture
def flow(tmp_path: Path) -> Write:
    """Writes a flow of steps that may use the tasks of `effects.py`; its path."""
    shutil.copy(HERE / "effects.py", tmp_path)

    def write(text: str, name: str = "flow.yaml", tasks: str = "effects.py") -> str:
        path = tmp_path / name
        path.write_text(f"flow: demo\ntasks: [{tasks}]\n{text}")
        return str(path)

    return write


def effects(tmp_path: Path) -> list[str]:
    file = tmp_path / "effects.jsonl"
    return [json.loads(line)["step"] for line in file.read_text().splitlines()] if file.exists() else []


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - another process may be what changes it
            await asyncio.sleep(0.01)


async def stopped(store: Store, path: str, tmp_path: Path, at: str, **options: Any) -> str:
    """Begin a run, and let its process end once the journal has an entry of `at`; the id of the run."""
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(path), files_root=str(tmp_path), **options)

        async def there() -> bool:
            return any(each.path == at and each.state != "started" for each in await store.steps(handle.run_id))

        await until(there)
        return handle.run_id


async def test_a_run_is_recorded_to_its_end(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow(
        "inputs: [{name: n, type: integer}]\n"
        "steps:\n  - change: {id: a}\noutputs:\n  - {name: o, value: '${[a.step, inputs.n]}'}"
    )
    result = await runs.run(path, {"n": 3}, store=store, files_root=str(tmp_path))
    assert (result.status, result.outputs) == ("succeeded", {"o": ["a", 3]})
    assert result.run_id is not None
    kept = await store.run(result.run_id)
    assert kept is not None
    assert (kept.state, kept.owner, json.loads(kept.outputs or "")) == ("succeeded", None, {"o": ["a", 3]})
    assert [(each.path, each.state) for each in await store.steps(kept.id)] == [("a", "succeeded")]
    told = [each["event"] for _, lines in await store.events(kept.id) for each in parsed(lines, kept.id)]
    assert told == ["run_started", "step_started", "step_succeeded", "run_finished"]


async def test_a_failed_run_keeps_its_failure(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow("steps:\n  - refuse: {id: no, times: 5}")
    result = await runs.run(path, store=store, files_root=str(tmp_path))
    kept = await store.run(result.run_id or "")
    assert kept is not None
    assert (kept.state, kept.error) == ("failed", result.failure)


async def test_what_is_refused_leaves_nothing(store: Store, flow: Write) -> None:
    path = flow("inputs: [{name: n, type: integer, required: true}]\nsteps:\n  - change: {id: a}")
    result = await runs.run(path, {"n": "x"}, store=store)
    assert [each.code for each in result.findings] == ["invalid-input"]
    assert await store.database.fetch("SELECT 1 FROM flowlang_runs") == []


async def test_a_wait_ends_when_it_would_have(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow("steps:\n  - change: {id: a}\n  - {id: w, wait: 1s}\n  - change: {id: b}")
    run_id = await stopped(store, path, tmp_path, "w")
    (wake,) = [float(each.outcome or "") for each in await store.steps(run_id) if each.path == "w"]
    result = await runs.resume(run_id, store=store)
    steps = {each.path: each for each in await store.steps(run_id)}
    assert result.status == "succeeded"
    assert wake <= steps["b"].started_at < wake + 5
    assert effects(tmp_path) == ["a", "b"]


async def test_a_signal_reaches_a_run_whose_process_is_gone(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow(
        "steps:\n  - change: {id: a}\n  - {id: s, wait: {signal: go}}\n  - change: {id: b, value: '${s.payload}'}\n"
        "outputs:\n  - {name: o, value: '${s.payload.by}'}"
    )
    run_id = await stopped(store, path, tmp_path, "a")
    assert await runs.send_signal(run_id, "go", {"by": "ada"}, store=store) == "queued"
    result = await runs.resume(run_id, store=store)
    assert (result.status, result.outputs) == ("succeeded", {"o": "ada"})
    assert effects(tmp_path) == ["a", "b"]
    with pytest.raises(runs.StoreError, match="is over: succeeded"):
        await runs.send_signal(run_id, "go", store=store)


async def test_a_signal_reaches_a_run_that_waits(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow("steps:\n  - {id: s, wait: {signal: go, timeout: 20s}}\noutputs:\n  - {name: o, value: '${s.payload}'}")
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(path), files_root=str(tmp_path))

        async def waits() -> bool:
            return any(each.path == "s@until" for each in await store.steps(handle.run_id))

        await until(waits)
        await runs.send_signal(handle.run_id, "go", [1, 2], store=store)
        assert (await handle).outputs == {"o": [1, 2]}


async def test_a_signal_is_for_the_run_it_was_sent_to(store: Store, flow: Write, tmp_path: Path) -> None:
    """Another run that waits for one of the same name does not see it. One of a shape that the flow cannot use fails
    the step that reads it, in each life again."""
    path = flow(
        "steps:\n  - {id: s, wait: {signal: go}}\n  - {id: t, set: {by: '${s.payload.by}'}}\n"
        "  - change: {id: a, value: '${t.by}'}"
    )
    async with runs.hosting(store) as host:
        one, other = [await runs.begin(host, api.load(path), files_root=str(tmp_path)) for _ in range(2)]
        await runs.send_signal(one.run_id, "go", {"by": "ada"}, store=store)
        assert (await one).succeeded
        assert [each.path for each in await store.steps(other.run_id)] == []
        await runs.send_signal(other.run_id, "go", ["no", "object"], store=store)
        result = await other
    assert (result.status, result.failure and result.failure.step) == ("failed", "t")
    assert effects(tmp_path) == ["a"]


async def test_a_signal_that_did_not_come_stays_away(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow(
        "steps:\n  - try:\n      - {id: s, wait: {signal: go, timeout: 30ms}}\n"
        "    catch:\n      - {on: [timeout], do: [{change: {id: late}}, {id: w, wait: 300ms}]}"
    )
    run_id = await stopped(store, path, tmp_path, "try#1.catch1.w")
    await runs.send_signal(run_id, "go", 1, store=store)
    assert (await runs.resume(run_id, store=store)).status == "succeeded"
    assert effects(tmp_path) == ["try#1.catch1.late"]


async def test_a_cancelled_run_cleans_up_and_goes_on_cleaning(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow(
        "steps:\n  - change: {id: a}\n  - {id: w, wait: 1h}\n"
        "on_cancel:\n  - change: {id: undo, value: '${default(a.step, null)}'}\nfinally:\n  - change: {id: last}"
    )
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(path), files_root=str(tmp_path))

        async def waits() -> bool:
            return any(each.path == "w" for each in await store.steps(handle.run_id))

        await until(waits)
        assert await runs.cancel(handle.run_id, store=store) == "cancelling"
        assert (await handle).status == "cancelled"
    assert effects(tmp_path) == ["a", "on_cancel.undo", "finally.last"]


async def test_a_cancellation_reaches_a_run_whose_process_is_gone(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow("steps:\n  - change: {id: a}\n  - {id: w, wait: 1h}\nfinally:\n  - change: {id: last}")
    run_id = await stopped(store, path, tmp_path, "w")
    await runs.cancel(run_id, store=store)
    assert (await runs.resume(run_id, store=store)).status == "cancelled"
    assert effects(tmp_path) == ["a", "finally.last"]
    kept = await store.run(run_id)
    assert kept is not None
    assert kept.state == "cancelled"


async def test_a_clean_up_that_was_cut_short_goes_on(store: Store, flow: Write, tmp_path: Path) -> None:
    """The step that was cancelled is recorded, and cancelled again."""
    path = flow(
        f"steps:\n  - change: {{id: a}}\n  - hold: {{folder: {tmp_path}}}\n"
        "on_cancel:\n  - change: {id: undo}\n  - {id: w, wait: 500ms}\n  - change: {id: more}",
        tasks="effects.py, tasks.py",
    )
    holding_flow(tmp_path)
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(path), files_root=str(tmp_path))
        await workers.until(lambda: lines(tmp_path / "holding"))
        await runs.cancel(handle.run_id, store=store)
        await workers.until(lambda: len(effects(tmp_path)) == 2)
    assert {each.path: each.state for each in await store.steps(handle.run_id)}["hold#2"] == "cancelled"
    assert (await runs.resume(handle.run_id, store=store)).status == "cancelled"
    assert effects(tmp_path) == ["a", "on_cancel.undo", "on_cancel.more"]


async def test_a_transaction_is_recorded_whole(store: Store, flow: Write, tmp_path: Path) -> None:
    data = tmp_path / "data.db"
    path = flow(
        f"connections:\n  db: {{type: sqlite, database: {data}}}\n"
        "steps:\n"
        "  - sqlite_execute: {id: make, query: 'CREATE TABLE t (i integer)'}\n"
        "  - transaction: db\n    id: both\n    do:\n"
        "      - sqlite_execute: {id: one, query: 'INSERT INTO t VALUES (1)'}\n"
        "      - sqlite_query: {id: seen, query: 'SELECT count(*) AS n FROM t'}\n"
        "  - {id: w, wait: 1s}\n"
        "outputs:\n  - {name: n, value: '${seen.rows[0].n}'}"
    )
    run_id = await stopped(store, path, tmp_path, "w")
    result = await runs.resume(run_id, store=store)
    assert (result.status, result.outputs) == ("succeeded", {"n": 1})
    import sqlite3

    with sqlite3.connect(data) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    connection.close()


async def test_a_run_keeps_the_flow_it_began_with(store: Store, flow: Write, tmp_path: Path) -> None:
    flow("steps:\n  - change: {id: inner}", "part.yaml")
    path = flow("steps:\n  - change: {id: a}\n  - {id: w, wait: 1s}\n  - subflow: part\n    id: p")
    run_id = await stopped(store, path, tmp_path, "w")
    flow("steps:\n  - change: {id: other}", "part.yaml")
    flow("steps:\n  - change: {id: new}")
    assert (await runs.resume(run_id, store=store)).status == "succeeded"
    assert effects(tmp_path) == ["a", "p.inner"]


async def test_a_file_that_is_being_written_while_a_run_of_it_waits(store: Store, flow: Write, tmp_path: Path) -> None:
    """The run goes on with what it began with. A new run is refused until the file is whole, or put in place whole."""
    text = "steps:\n  - change: {id: a}\n  - {id: w, wait: 1s}\n  - change: {id: b}"
    path = flow(text)
    run_id = await stopped(store, path, tmp_path, "w")
    flow(text[: text.index("wait: 1s")])
    refused = await runs.run(path, store=store, files_root=str(tmp_path))
    assert (refused.status, refused.run_id) == ("invalid", None)
    (tmp_path / "flow.yaml").unlink()
    assert (await runs.resume(run_id, store=store)).status == "succeeded"
    flow(text.replace("id: a", "id: c").replace("1s", "1ms"), "new.yaml")
    (tmp_path / "new.yaml").replace(path)
    assert (await runs.run(path, store=store, files_root=str(tmp_path))).status == "succeeded"
    assert effects(tmp_path) == ["a", "b", "c", "b"]


async def test_secrets_are_never_written_down(
    store: Store, flow: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "canary-9f31c2"
    path = flow(
        "inputs: [{name: token, type: string, secret: true}]\n"
        "steps:\n  - change: {id: a, value: '${inputs.token}'}\n  - put: {id: b, value: '${secrets.KEY}'}\n"
        "  - {id: w, wait: 300ms}"
    )
    refused = await runs.run(path, {"token": canary}, store=store, secrets={"KEY": canary + "2"})
    assert {each.code for each in refused.findings} == {"no-store-key"}
    monkeypatch.setenv("FLOWLANG_STORE_KEY", runs.new_key())
    async with await open_store(_address(store)) as keyed:
        options = {"inputs": {"token": canary}, "secrets": {"KEY": canary + "2"}}
        run_id = await stopped(keyed, path, tmp_path, "w", **options)
        result = await runs.resume(run_id, store=keyed, secrets={"KEY": canary + "3"})
        assert result.status == "succeeded"
        for table in ("runs", "journal", "events", "flows", "signals"):
            rows = await keyed.database.fetch(f"SELECT * FROM flowlang_{table}")
            assert canary not in json.dumps([list(map(str, tuple(row))) for row in rows])


async def test_a_write_whose_outputs_cannot_be_kept_has_not_failed(store: Store, flow: Write, tmp_path: Path) -> None:
    """It was done; nobody foresaw that it gives a secret. What handles failures is not to take it back."""
    path = flow(
        "steps:\n  - echo: {id: a, value: 'key ${secrets.KEY}'}\n    on_error: [{change: {id: undo}}]\n"
        "  - change: {id: b}"
    )
    options: dict[str, Any] = {"secrets": {"KEY": "canary-77ab"}}
    result = await runs.run(path, store=store, files_root=str(tmp_path), **options)
    assert result.status == "needs_attention"
    assert result.failure is not None
    assert "`echo` was done, and the outputs of `a` hold a secret" in result.failure.detail
    assert "FLOWLANG_STORE_KEY" in result.failure.detail
    after = await runs.resume(result.run_id, skip={"a": {"value": "kept elsewhere"}}, store=store, **options)
    assert (after.status, effects(tmp_path)) == ("succeeded", ["a", "b"])


def _address(store: Store) -> str:
    return getattr(store.database, "address", store.url)


async def test_a_run_is_one_process_s(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow("steps:\n  - {id: w, wait: 300ms}")
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(path), files_root=str(tmp_path))
        with pytest.raises(runs.StoreError, match="under way in another process"):
            await runs.resume(handle.run_id, store=store)
        assert (await handle).status == "succeeded"
    with pytest.raises(runs.StoreError, match="is over: succeeded"):
        await runs.resume(handle.run_id, store=store)
    with pytest.raises(runs.StoreError, match="there is no run"):
        await runs.resume("nobody", store=store)


async def test_who_lost_a_run_does_nothing_more(store: Store, flow: Write, tmp_path: Path) -> None:
    path = flow("steps:\n  - change: {id: a}\n  - {id: w, wait: 500ms}\n  - change: {id: b}")
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(path), files_root=str(tmp_path))

        async def waits() -> bool:
            return any(each.path == "w" for each in await store.steps(handle.run_id))

        await until(waits)
        await store.take(handle.run_id, "somebody else", dead=host.executor.id)
        result: RunResult = await handle
    assert result.status == "interrupted"
    assert effects(tmp_path) == ["a"]


async def test_a_value_that_cannot_be_kept_fails_its_step(store: Store, flow: Write, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "from flowlang import task\n\n@task(effect='write')\nasync def odd() -> dict:\n    return {'o': object()}\n"
    )
    path = flow("steps:\n  - odd: {id: a}", tasks="odd.py")
    result = await runs.run(path, store=store, files_root=str(tmp_path))
    assert result.failure is not None
    assert result.failure.detail == "the outputs of `a` cannot be kept in the store: object is no type of FlowLang"
