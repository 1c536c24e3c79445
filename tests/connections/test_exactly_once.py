"""`exactly_once` on every database that speaks SQL: done once for a key, whoever asks and however often."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import flowlang
from flowlang.exceptions import Failure

_PREFIXES = {"sqlite": "sqlite", "postgres": "pg", "mysql": "mysql"}
_KEYS = "SELECT * FROM flowlang_once"


@dataclass
class Base:
    """A database with an empty table `t (v)`."""

    kind: str
    config: dict[str, Any]

    def step(self, word: str, query: str, **more: Any) -> dict[str, Any]:
        return {f"{_PREFIXES[self.kind]}_{word}": {"query": query, **more}}

    def write(self, value: int = 1, **more: Any) -> dict[str, Any]:
        """A step that adds a row, exactly once."""
        return self.step("execute", f"INSERT INTO t (v) VALUES ({value})", exactly_once=True, **more)

    async def run(
        self,
        *steps: Mapping[str, Any],
        outputs: Mapping[str, str] | None = None,
        tasks: Sequence[Callable[..., Any]] = (),
        flow: str = "f",
    ) -> flowlang.RunResult:
        given = [{"name": name, "value": value} for name, value in (outputs or {}).items()]
        text = {"flow": flow, "connections": {"db": self.config}, "steps": list(steps), "outputs": given}
        async with asyncio.timeout(60):
            return await flowlang.run(text=json.dumps(text), tasks=list(tasks))

    async def ok(self, *steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        result = await self.run(*steps, **more)
        assert result.status == "succeeded", (result.failure, result.findings)
        return result.outputs

    async def failed(self, *steps: Mapping[str, Any], **more: Any) -> Failure:
        result = await self.run(*steps, **more)
        assert result.failure is not None, (result.status, result.findings)
        return result.failure

    async def rows(self, query: str = "SELECT v FROM t ORDER BY v") -> list[dict[str, Any]]:
        return (await self.ok(self.step("query", query, id="q"), outputs={"rows": "${q.rows}"}))["rows"]

    async def values(self) -> list[Any]:
        return [each["v"] for each in await self.rows()]


@pytest.fixture(params=list(_PREFIXES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    kind = request.param
    given = (
        {"database": str(tmp_path / "a.db"), "timeout": 30}
        if kind == "sqlite"
        else {"url": request.getfixturevalue(f"{kind}_url")}
    )
    return Base(kind, {"type": kind, **given})


@pytest.fixture
async def base(place: Base) -> Base:
    await place.ok(place.step("execute", "CREATE TABLE t (v INTEGER)"))
    return place


async def test_a_key_is_used_once_and_its_outputs_come_again(base: Base) -> None:
    """The second run with the key does nothing, and has what the first was given."""
    step = base.write(id="w", idempotency_key="order 1")
    first = await base.ok(step, outputs={"n": "${w.rows_affected}"})
    again = await base.ok({**step, "retry": 3}, outputs={"n": "${w.rows_affected}"})
    other = await base.ok(base.write(2, id="w", idempotency_key="order 2"), outputs={"n": "${w.rows_affected}"})
    assert first == again == other == {"n": 1}
    assert await base.values() == [1, 2]


async def test_without_a_key_of_its_own_a_step_is_done_once_in_its_run(base: Base) -> None:
    """Each run, and each turn of a loop, is another one."""
    loop = {"for_each": "${[1, 2]}", "do": [base.write(3, id="w")]}
    await base.ok(base.write(), loop)
    await base.ok(base.write(), loop)
    assert await base.values() == [1, 1, 3, 3, 3, 3]
    assert len(await base.rows(_KEYS)) == 6


async def test_what_was_kept_has_the_types_it_had(base: Base) -> None:
    """Dates, decimals, bytes and texts of any letters come back as they were."""
    gave = {
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "sum": decimal.Decimal("1.20"),
        "raw": b"\0\xff",
        "said": "naïve 🦊 \\ ' \" $",
        "in": [{"$decimal": 1}, None, 1.5],
    }

    @flowlang.task
    async def gives(connection: Any) -> dict[str, Any]:
        await connection.run("INSERT INTO t (v) VALUES (1)", [])
        return {"all": gave}

    step = {"gives": {"id": "g", "exactly_once": True, "idempotency_key": "types"}}
    for _ in range(2):
        assert await base.ok(step, outputs={"all": "${g.all}"}, tasks=[gives]) == {"all": gave}
    assert await base.values() == [1]


_ONCE = {"exactly_once": True, "idempotency_key": "at once"}


@pytest.mark.parametrize(
    "step",
    [
        pytest.param({"gives": {"id": "g", **_ONCE}}, id="step"),
        pytest.param({"transaction": "db", **_ONCE, "do": [{"gives": {"id": "g"}}]}, id="block"),
    ],
)
async def test_of_several_at_once_one_does_it(base: Base, step: dict[str, Any]) -> None:
    """The others wait for it; when it fails, the next one does it."""
    calls = 0

    @flowlang.task
    async def gives(connection: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        call = calls
        await connection.run("INSERT INTO t (v) VALUES (1)", [])
        if call == 1:
            raise flowlang.FlowExecutionError("not this time")
        return {"call": call}

    results = await asyncio.gather(*[base.run(step, outputs={"n": "${g.call}"}, tasks=[gives]) for _ in range(4)])
    told = [each.outputs.get("n") if each.failure is None else each.failure.detail for each in results]
    assert sorted(map(str, told)) == ["2", "2", "2", "not this time"], told
    assert await base.values() == [1]


async def test_a_failure_leaves_neither_key_nor_work(base: Base) -> None:
    """The step may be done with the same key afterwards."""
    queries = [{"query": f"INSERT INTO {table} (v) VALUES (1)"} for table in ("t", "missing")]
    task = f"{_PREFIXES[base.kind]}_transaction"
    twice = {task: {"id": "w", "queries": queries, "exactly_once": True, "idempotency_key": "k"}}
    assert (await base.failed(twice)).type == "not_found"
    assert (await base.values(), await base.rows(_KEYS)) == ([], [])
    await base.ok(base.step("execute", "CREATE TABLE missing (v INTEGER)"))
    await base.ok(twice)
    await base.ok(twice)
    assert await base.values() == [1]


async def test_in_a_transaction_block(base: Base) -> None:
    """The key is kept with the block, and goes with it."""
    block = {
        "transaction": "db",
        "do": [base.write(id="w", idempotency_key="k"), base.step("execute", "INSERT INTO t (v) VALUES (2)")],
    }
    fails = {**block, "do": [*block["do"], {"raise": {"message": "no"}}]}
    await base.failed(fails)
    assert (await base.values(), await base.rows(_KEYS)) == ([], [])
    await base.ok(block)
    await base.ok(block)
    assert await base.values() == [1, 2, 2]


async def test_a_block_is_done_once_and_leaves_what_it_left(base: Base) -> None:
    """Whatever it left comes again, with its types, also what was left by chance; a failure leaves nothing."""
    body = [
        base.step("query", "SELECT v FROM t", id="before"),
        base.step("execute", "INSERT INTO t (v) VALUES (7)", id="w"),
        {"id": "s", "set": {"u": "${uuid()}", "at": "${now()}", "sum": "${decimal('1.20')}"}},
        {"if": "${before.count > 5}", "then": [{"id": "never", "set": {"x": 1}}]},
        {"for_each": [1, 2], "id": "turns", "collect": "${index}", "do": [base.write(8)]},
    ]
    block = {"transaction": "db", "exactly_once": True, "idempotency_key": "order 1", "do": body, "retry": 3}
    outputs = {"all": "${[before, w, s, turns]}"}
    assert (await base.failed({**block, "do": [*body, {"raise": {"message": "no"}}]})).detail == "no"
    assert (await base.values(), await base.rows(_KEYS)) == ([], [])
    first = await base.ok(block, outputs=outputs)
    assert first == await base.ok(block, outputs=outputs)
    assert isinstance(first["all"][2]["sum"], decimal.Decimal)
    assert await base.values() == [7, 8, 8]
    failure = await base.failed({**block, "do": [*body, {"id": "more", "set": {"x": 1}}]})
    assert (failure.type, "did not leave `more` then" in failure.detail) == ("validation", True)
    ours = {key: value for key, value in block.items() if key != "idempotency_key"}
    for _ in range(2):
        await base.ok({"for_each": [1, 2], "as": "turn", "do": [ours]})  # each turn of each run has its own
    assert await base.values() == [7] * 5 + [8] * 10


async def test_a_failure_that_a_block_handles_takes_the_key_with_it(base: Base) -> None:
    """The block goes on and commits; the step was not done, and its key is free."""

    @flowlang.task
    async def fails(connection: Any) -> dict[str, Any]:
        await connection.run("INSERT INTO t (v) VALUES (9)", [])
        raise flowlang.FlowExecutionError("no")

    step = {"fails": {"exactly_once": True, "idempotency_key": "k", "continue_on_error": True}}
    await base.ok(
        {"transaction": "db", "do": [step, base.step("execute", "INSERT INTO t (v) VALUES (2)")]}, tasks=[fails]
    )
    assert (await base.values(), await base.rows(_KEYS)) == ([2], [])


async def test_a_key_of_another_step_is_refused(base: Base) -> None:
    """Its outputs would be those of something else."""
    await base.ok(base.write(id="pay", idempotency_key="order 1"))
    failure = await base.failed(base.write(id="ship", idempotency_key="order 1"))
    assert failure.type == "validation"
    assert "the key `order 1` was used by another step, `pay` of flow `f`" in failure.detail
    assert await base.values() == [1]


async def test_keys_that_look_alike_are_two(base: Base) -> None:
    """Also those that are longer than a database's index, and those that collations take for the same."""
    keys = ["a" * 300 + "1", "a" * 300 + "2", "k", "k ", "K", "e", "é"]
    step = base.write(id="w", idempotency_key="${item}")
    await base.ok({"for_each": f"${{{json.dumps(keys + keys, ensure_ascii=False)}}}", "do": [step]})
    assert await base.values() == [1] * len(keys)


async def test_outputs_that_cannot_be_kept(base: Base) -> None:
    """Nothing is done that could not be answered again."""

    @flowlang.task
    async def gives(connection: Any) -> dict[str, Any]:
        await connection.run("INSERT INTO t (v) VALUES (1)", [])
        return {"v": object()}

    failure = await base.failed({"gives": {"exactly_once": True}}, tasks=[gives])
    assert (failure.type, await base.values()) == ("validation", [])
    assert "cannot be kept for `exactly_once`" in failure.detail


async def test_a_table_of_this_name_that_is_someone_elses(base: Base) -> None:
    """It is named, with the columns that it should have."""
    await base.ok(base.step("execute", "CREATE TABLE flowlang_once (id INTEGER)"))
    failure = await base.failed(base.write())
    assert (failure.type, await base.values()) == ("validation", [])
    assert "the table `flowlang_once` is there already" in failure.detail
    assert (await base.failed({"transaction": "db", "do": [base.write(id="w")]})).type == "validation"


async def test_old_keys_are_pruned_by_a_statement(base: Base) -> None:
    """The table is the user's: what is older than a time goes, and the rest stays."""
    await base.ok(base.write(id="w", idempotency_key="old"))
    await base.ok(base.step("execute", "UPDATE flowlang_once SET at = '2020-01-01 00:00:00'"))
    await base.ok(base.write(id="w", idempotency_key="new"))
    await base.ok(base.step("execute", "DELETE FROM flowlang_once WHERE at < '2026-01-01 00:00:00'"))
    key = {"mysql": "`key`"}.get(base.kind, "key")
    assert await base.rows(f"SELECT {key} FROM flowlang_once") == [{"key": "new"}]


async def test_its_lease_is_told_like_any_other(tmp_path: Path) -> None:
    """To those who listen to leases."""

    class Detailed:
        detailed = True

        def __init__(self) -> None:
            self.heard: list[str] = []

        def __call__(self, event: Any) -> None:
            self.heard.append(type(event).__name__)

    base, listener = Base("sqlite", {"type": "sqlite", "database": str(tmp_path / "a.db")}), Detailed()
    steps = [base.step("execute", "CREATE TABLE t (v INTEGER)"), base.write()]
    text = json.dumps({"flow": "f", "connections": {"db": base.config}, "steps": steps})
    result = await flowlang.run(text=text, on_event=listener)
    assert result.status == "succeeded", result.failure
    assert listener.heard.count("LeaseTaken") == listener.heard.count("LeaseReturned") == 2
