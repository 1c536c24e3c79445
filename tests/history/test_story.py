"""`flowlang runs show`: what is told of a run, also after its process was lost, and after its file was changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.durable.journals import rewrite

from flowlang import runs
from flowlang.durable.records import StoredStep
from flowlang.durable.store import Store
from flowlang.history.story import Story, story, told_by
from flowlang.history.tree import Node
from flowlang.views.story import story_text

FAILING = """
- look: {id: first, value: "${inputs.n}"}
- id: each
  for_each: [1, 2, 3]
  do:
    - log: "turn ${item}"
    - look: {id: seen, value: "${item}"}
- if: "${inputs.n > 100}"
  then: [{log: never}]
- look: {id: last, value: here, retry: {max_attempts: 2, delay: 1ms}}
"""
INPUTS = "inputs:\n  - {name: n, type: integer, default: 7}\n"


def flat(nodes: Any) -> dict[str, Node]:
    found = {}
    for each in nodes:
        found[each.path] = each
        found.update(flat(each.children))
    return found


async def told(store: Store, run_id: str) -> Story:
    return await story(store, run_id, runs.steps_of)


async def test_the_story_of_a_run_that_failed(store: Store, flows: Any, folder: Path) -> None:
    flows.broken("last")
    file = flows.write(FAILING, more=INPUTS)
    result = await runs.run(file, {"n": 5}, store=store)
    assert result.run_id is not None
    (folder / file).write_text("flow: orders\nsteps: [{log: this is another one by now}]\n")
    found = await told(store, result.run_id)
    steps = flat(found.steps)
    assert steps["first"].inputs == {"value": 5}
    assert steps["first"].outputs == {"seen": 5}
    assert steps["each[2].seen"].turn == 2
    assert steps["each[1].log#1"].messages == ["turn 2"]
    assert steps["last"].attempts == 2
    assert [each.attempt for each in steps["last"].tries] == [1]
    assert steps["last"].site is not None
    text = story_text(found, 0.0)
    assert "orders  failed after" in text
    assert "n = 5" in text
    assert "✗ last  look" in text
    assert "attempt 1: task: here cannot be looked at" in text
    line = next(at for at, row in enumerate(text.splitlines()) if "| " in row and "id: last" in row)
    assert "^^^^" in text.splitlines()[line + 1], "the snippet is of the text that was run"


async def test_what_a_lost_process_did_is_told_by_the_journal(store: Store, flows: Any) -> None:
    steps = """
    - look: {id: first, value: 1}
    - id: each
      for_each: [1, 2]
      do:
        - charge: {id: pay, value: "${item}"}
    """
    run_id = await flows.lost(store, flows.write(steps), "each[1].pay")
    await store.database.execute("DELETE FROM flowlang_events WHERE run_id = :run", run=run_id)
    found = await told(store, run_id)
    assert found.state == "interrupted"
    steps_ = flat(found.steps)
    assert steps_["each[0].pay"].state == "succeeded"
    assert steps_["each[0].pay"].outputs == {"receipt": "receipt for 1"}
    assert steps_["each[1].pay"].state == "unknown"
    assert steps_["each"].operation == "for_each"
    assert found.undecided == ("each[1].pay",)
    assert f"flowlang runs resume {run_id}" in story_text(found, 0.0)


async def test_a_run_that_goes_on_tells_each_step_once_with_its_own_times(store: Store, flows: Any) -> None:
    steps = """
    - log: hello
    - look: {id: first, value: 1}
    - look: {id: second, value: 2}
    - log: bye
    """
    run_id = await flows.lost(store, flows.write(steps), "second")
    before = flat((await told(store, run_id)).steps)
    assert before["second"].state == "unfinished"
    assert (await runs.resume(run_id, store=store)).status == "succeeded"
    found = await told(store, run_id)
    after = flat(found.steps)
    assert after["first"].started_at == before["first"].started_at
    assert after["log#1"].messages == ["hello"]
    assert after["log#4"].messages == ["bye"]
    assert after["second"].state == "succeeded"
    assert len(found.begun) == 2
    assert found.run.takeovers == 1
    times = Counter((each["event"], each.get("path")) for each in await told_by(store, run_id))
    assert {each for each, often in times.items() if often > 1} <= {("run_started", None), ("step_started", "second")}


async def test_messages_that_were_lost_with_a_process_are_told_when_the_run_goes_on(
    file_store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    steps = """
    - log: hello
    - look: {id: first}
    - for_each: [1, 2]
      do:
        - log: between
    - look: {id: second}
    """
    store = file_store
    run_id = await flows.lost(store, flows.write(steps), "second")
    chunks = await store.events(run_id)
    kept = "\n".join(line for _, chunk in chunks for line in chunk.split("\n") if "hello" in line)
    await store.database.execute("DELETE FROM flowlang_events WHERE run_id = :run", run=run_id)
    await store.database.execute("INSERT INTO flowlang_events VALUES (:run, 0, :lines)", run=run_id, lines=kept)
    _, _, said = await cli("runs", "logs", run_id, "--store", store.url)
    assert "may not be here" in said
    assert (await runs.resume(run_id, store=store)).status == "succeeded"
    written = [each for each in await told_by(store, run_id) if each["event"] == "log_written"]
    assert [each["message"] for each in written] == ["hello", "between", "between"]
    _, _, said = await cli("runs", "logs", run_id, "--store", store.url)
    assert said == ""


async def test_a_long_loop_shows_its_first_turns_and_those_with_trouble(file_store: Store, flows: Any) -> None:
    flows.broken("each[37].seen")
    steps = """
    - id: each
      for_each: "${range(0, 50)}"
      max_failures: 3
      do:
        - look: {id: seen, value: "${item}"}
    """
    result = await runs.run(flows.write(steps), store=file_store)
    assert result.status == "succeeded"
    found = await told(file_store, str(result.run_id))
    text = story_text(found, 0.0)
    assert "[0]" in text
    assert "[37]" in text
    assert "[20]" not in text
    assert "… and 45 more turns, without trouble" in text
    assert "[20]" in story_text(found, 0.0, full=True)


async def test_signals_are_told_with_who_took_them(store: Store, flows: Any) -> None:
    steps = """
    - id: approval
      wait: {signal: approved}
    - look: {id: seen, value: "${approval.payload.by}"}
    """
    async with runs.hosting(store) as host:
        import flowlang

        handle = await runs.begin(host, flowlang.load(flows.write(steps)))
        await runs.send_signal(str(handle.run_id)[:8], "approved", {"by": "Ada"}, store=store)
        await runs.send_signal(str(handle.run_id)[:8], "again", None, store=store)
        assert (await handle).status == "succeeded"
    found = await told(store, str(handle.run_id))
    assert [(each.name, each.payload, each.taken_by) for each in found.signals] == [
        ("approved", {"by": "Ada"}, "approval#0"),
        ("again", None, None),
    ]
    text = story_text(found, 0.0)
    assert "taken by approval" in text
    assert "nobody took it" in text
    assert flat(found.steps)["approval"].outputs == {"payload": {"by": "Ada"}}


async def test_the_story_as_data(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    flows.broken("last")
    result = await runs.run(flows.write(FAILING, more=INPUTS), store=file_store)
    code, shown, _ = await cli("runs", "show", str(result.run_id)[:8], "--json", "--store", file_store.url)
    assert code == 0
    record = json.loads(shown)
    assert record["state"] == "failed"
    assert record["error"]["step"] == "last"
    assert [each["path"] for each in record["steps"]] == ["first", "each", "if#3", "last"]
    assert record["steps"][1]["steps"][1]["source"]["line"] == 12


async def test_without_its_plugins_a_run_is_still_told(file_store: Store, flows: Any, folder: Path) -> None:
    result = await runs.run(flows.write("- look: {id: a, value: 1}"), store=file_store)
    found = await story(file_store, str(result.run_id), lambda flow: {})
    assert "✓ a  look" in story_text(found, 0.0)
    await file_store.database.execute("DELETE FROM flowlang_flows")
    assert "✓ a  look" in story_text(await told(file_store, str(result.run_id)), 0.0)


async def test_of_a_wait_that_goes_on_what_is_left_is_told(file_store: Store, flows: Any) -> None:
    file = flows.write("- parallel:\n    - {id: w, wait: 1h}\n    - look: {id: a}\n")
    run_id = await flows.lost(file_store, file, "parallel#1.a")
    soon = repr(file_store.time() + 1)

    def shorter(step: StoredStep) -> StoredStep:
        return replace(step, outcome=soon) if step.path == "parallel#1.w" else step

    assert await rewrite(file_store, run_id, shorter) == 1
    told: list[Any] = []
    assert (await runs.resume(run_id, store=file_store, on_event=[told.append])).status == "succeeded"
    (waiting,) = [each for each in told if type(each).__name__ == "StepWaiting"]
    assert waiting.until - waiting.at <= 1
