"""Transactions of runs that are killed around their commits: what may be told is told, and nothing is done twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.durable.conftest import Kill, Life

import flowlang

WHOLE = """
  - look: {id: a}
  - {id: s, set: {u: "${uuid()}"}}
  - transaction: db
    id: moving
    exactly_once: true
    do:
      - SQL_query: {id: before, query: "SELECT count(*) AS n FROM moves WHERE run = ${run.id}"}
      - SQL_execute: {id: moved, query: "INSERT INTO moves (run, what) VALUES (${run.id}, 'a')"}
      - {id: when, set: {t: "${now()}", r: "${random()}"}}
      - for_each: [b, c]
        as: what
        id: turns
        collect: ${turn.rows_affected}
        do:
          - SQL_execute: {id: turn, query: "INSERT INTO moves (run, what) VALUES (${run.id}, ${what})"}
      - if: ${turns.results == []}
        then: [{id: never, set: {x: 1}}]
  - put: {id: c, value: "${[s.u, before.rows, when.t, when.r, turns.results]}"}
  - transaction: db
    do:
      - SQL_query: {id: after, query: "SELECT what FROM moves WHERE run = ${run.id} ORDER BY what"}
  - change: {id: e}
outputs:
  - {name: all, value: "${[before.rows, moved.rows_affected, turns.results, after.rows]}"}
"""

AGAIN = """
  - transaction: db
    id: moving
    exactly_once: true
    retry: {max_attempts: 3, delay: 1ms, jitter: false}
    do:
      - SQL_execute: {id: moved, query: "INSERT INTO moves (run, what) VALUES (${run.id}, 'a')"}
      - {id: when, set: {t: "${now()}"}}
      - refuse: {id: no, times: 1}
  - put: {id: c, value: "${[moved.rows_affected, when.t]}"}
  - change: {id: e}
"""

UNDONE = """
  - transaction: db
    do:
      - SQL_execute: {id: moved, query: "INSERT INTO moves (run, what) VALUES (${run.id}, 'a')"}
      - exit: {status: failure, reason: "${moved.rows_affected} too many"}
finally:
  - put: {id: last}
  - change: {id: e}
"""

ENDED = """
  - transaction: db
    id: moving
    do:
      - SQL_stream: {id: all, query: "SELECT 1 AS n UNION SELECT 2"}
      - for_each: ${all.rows}
        id: turns
        collect: ${item.n}
        do:
          - set: {n: "${item.n}"}
      - SQL_execute: {query: "INSERT INTO moves (run, what) VALUES (${run.id}, 'a')"}
      - exit: {status: success, outputs: {all: "${turns.results}"}}
  - change: {id: never}
finally:
  - change: {id: e}
"""
STREAMED = """
  - transaction: db
    id: moving
    do:
      - SQL_stream: {id: all, query: "SELECT 1 AS n UNION SELECT 2"}
      - for_each: ${all.rows}
        id: turns
        collect: ${item.n}
        do:
          - SQL_execute: {query: "INSERT INTO moves (run, what) VALUES (${run.id}, 'a')"}
  - put: {id: c, value: "${turns.results}"}
  - change: {id: e}
outputs:
  - {name: all, value: "${turns.results}"}
"""

PLAIN = """
  - look: {id: a}
  - transaction: db
    id: moving
    do:
      - SQL_execute: {id: moved, query: "INSERT INTO moves (run, what) VALUES (${run.id}, 'a')"}
  - change: {id: e, value: "${moved.rows_affected}"}
"""

only_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
_PREFIXES = {"sqlite": "sqlite", "postgres": "pg", "mysql": "mysql"}


@pytest.fixture(params=["sqlite", "postgres", pytest.param("mysql", marks=pytest.mark.long)])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def store_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """On PostgreSQL the store is in the database that the flow works on, else it is a file."""
    if kind != "postgres":
        return f"sqlite:///{tmp_path}/runs.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


class Base:
    """The database that flows work on, with a table of what was moved."""

    def __init__(self, kind: str, url: str) -> None:
        self.prefix = _PREFIXES[kind]
        self.config = {"type": kind, **({"database": url, "timeout": 30} if kind == "sqlite" else {"url": url})}

    def flow(self, steps: str) -> str:
        head = f"flow: moves\ntasks: [effects.py]\nconnections: {{db: {json.dumps(self.config)}}}\nsteps:"
        return head + steps.replace("SQL_", f"{self.prefix}_")

    async def asked(self, word: str, query: str) -> dict[str, Any]:
        step = {f"{self.prefix}_{word}": {"id": "q", "query": query}}
        outputs = [{"name": "q", "value": "${q}"}]
        text = {"flow": "f", "connections": {"db": self.config}, "steps": [step], "outputs": outputs}
        result = await flowlang.run(text=json.dumps(text))
        assert result.status == "succeeded", result.failure
        told: dict[str, Any] = result.outputs["q"]
        return told

    async def moved(self) -> dict[str, str]:
        """What was moved by each run."""
        found: dict[str, str] = {}
        for row in (await self.asked("query", "SELECT run, what FROM moves ORDER BY what"))["rows"]:
            found[row["run"]] = found.get(row["run"], "") + row["what"]
        return found


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    return Base(kind, str(tmp_path / "base.db") if kind == "sqlite" else request.getfixturevalue(f"{kind}_url"))


@pytest.fixture
async def base(place: Base) -> Base:
    await place.asked("execute", "CREATE TABLE moves (run VARCHAR(80), what VARCHAR(80))")
    return place


def around(whole: dict[str, Any]) -> list[list[Kill]]:
    """Kills before and after each commit of the flow's own, and the writes of the journal beside it."""
    near = sorted({write for commit in whole["commits"] for write in (commit - 1, commit, commit + 1)})
    return [[(write, moment)] for write in near if write for moment in ("before", "after")]


@pytest.mark.slow
async def test_a_block_that_is_done_exactly_once_is_told_after_a_kill_at_any_moment(base: Base, killed: Life) -> None:
    await proved(base, killed, WHOLE, "abc")


@only_sqlite
async def test_a_block_that_is_tried_again_is_told_after_a_kill_at_any_moment(base: Base, killed: Life) -> None:
    await proved(base, killed, AGAIN, "a")


async def proved(base: Base, killed: Life, steps: str, moves: str) -> None:
    flow = base.flow(steps)
    model = killed([(flow, [])])[0]
    assert model["status"] == "succeeded", model
    plans = around(model)
    for told in killed([(flow, plan) for plan in plans]):
        assert (told["status"], told["outputs"]) == (model["status"], model["outputs"]), told
        assert told["attention"] in ([], ["e"])
        assert Counter(each["step"] for each in told["effects"])["e"] == 1
        values = {json.dumps(each["value"]) for each in told["effects"] if each["step"] == "c"}
        assert len(values) == 1, "what the block left is the same in each life"
    assert list((await base.moved()).values()) == [moves] * (1 + len(plans))


@only_sqlite
async def test_a_block_that_was_rolled_back_is_gone_through_again(base: Base, killed: Life) -> None:
    flow = base.flow(UNDONE)
    model = killed([(flow, [])])[0]
    assert (model["status"], model["reason"]) == ("failed", "1 too many")
    for told in killed([(flow, [(write, "after")]) for write in range(1, model["writes"] + 1)]):
        assert (told["status"], told["reason"]) == ("failed", "1 too many"), told
        assert Counter(each["step"] for each in told["effects"])["finally.e"] == 1
    assert await base.moved() == {}


@only_sqlite
async def test_a_block_that_read_a_stream_is_not_read_again(base: Base, killed: Life) -> None:
    flow = base.flow(STREAMED)
    model = killed([(flow, [])])[0]
    told = killed([(flow, [(model["commits"][0] + 1, "after")])])[0]
    assert (told["status"], told["outputs"]) == ("succeeded", {"all": [1, 2]}), told
    assert list((await base.moved()).values()) == ["aa", "aa"]


@only_sqlite
async def test_a_block_that_read_a_stream_and_ended_the_flow(base: Base, killed: Life) -> None:
    """It does so in each life, and is not read again: its row is there once."""
    flow = base.flow(ENDED)
    model = killed([(flow, [])])[0]
    commit = model["commits"][0]
    plans: list[list[Kill]] = [[(commit + 1, "after")], [(commit + 2, "after")]]
    for told in killed([(flow, plan) for plan in plans]):
        assert (told["status"], told["outputs"]) == ("succeeded", {"all": [1, 2]}), told
        assert [each["step"] for each in told["effects"]].count("finally.e") == 1
    assert set((await base.moved()).values()) == {"a"}


@only_sqlite
async def test_a_block_whose_commit_had_not_begun_is_done_again(base: Base, killed: Life) -> None:
    """Only around the commit itself nobody knows."""
    flow = base.flow(PLAIN)
    plans = around(killed([(flow, [])])[0])
    told = killed([(flow, plan) for plan in plans])
    unsure = [plan[0] for plan, each in zip(plans, told, strict=True) if each["attention"] == ["moving"]]
    (begun, moment), *_ = unsure
    assert moment == "after"
    assert unsure == [(begun, "after"), (begun + 1, "before"), (begun + 1, "after"), (begun + 2, "before")]
