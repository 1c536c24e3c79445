"""More rows than memory holds: a stream of them stays flat and loses none, a list of them fails and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROWS, WIDTH = 20_000, 8000
ROOM = 64 << 20  # bytes beside what the program has before it reads; the rows are more than twice that
QUERIES = {
    "sqlite": f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS})"
    f" SELECT n, printf('%.{WIDTH}c', 'x') AS text FROM s",
    "postgres": f"SELECT n, repeat('x', {WIDTH}) AS text FROM generate_series(1, {ROWS}) AS n",
}
PREFIX = {"sqlite": "sqlite", "postgres": "pg"}
PROGRAM = """
import asyncio, json, resource, sys
from pathlib import Path
import flowlang

seen = [0, 0]

@flowlang.task(name="tally", effect="none")
def tally(rows: list) -> None:
    for each in rows:
        seen[0] += each["n"]
        seen[1] += len(each["text"])

async def main(warm, flow, room):
    assert (await flowlang.run(text=warm, tasks=[tally])).succeeded
    seen[:] = [0, 0]
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))
    result = await flowlang.run(text=flow, tasks=[tally])
    failure = result.failure
    print(json.dumps({"seen": seen, "failure": failure and [failure.type, failure.retryable, failure.detail]}))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def told(kind: str, connection: dict[str, Any], *steps: dict[str, Any]) -> dict[str, Any]:
    """What a program says that runs these steps in little memory, after a query that loads the driver."""
    connections = {"db": {"type": kind, **connection}}
    warm = [{f"{PREFIX[kind]}_query": {"query": "SELECT 1 AS n"}}]
    flows = [json.dumps({"flow": "much", "connections": connections, "steps": each}) for each in (warm, list(steps))]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, *flows, str(ROOM)],
        cwd=ROOT, env={**os.environ, "MALLOC_ARENA_MAX": "1"}, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def connection(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    if kind == "sqlite":
        return {"database": str(tmp_path / "much.db")}
    return {"url": request.getfixturevalue(f"{kind}_url")}


@pytest.mark.skipif("not __import__('sys').platform.startswith('linux')", reason="the limit holds on Linux")
@pytest.mark.parametrize("kind", QUERIES)
def test_rows_that_do_not_fit_are_streamed_or_refused(kind: str, connection: dict[str, Any]) -> None:
    """Threat 30: the same rows, one batch at a time and all at once."""
    query = {"query": QUERIES[kind]}
    turns = {"for_each": "${all.rows}", "as": "rows", "batch_size": 1000, "do": [{"tally": {"rows": "${rows}"}}]}
    streamed = told(kind, connection, {f"{PREFIX[kind]}_stream": {"id": "all", **query}}, turns)
    assert streamed == {"seen": [ROWS * (ROWS + 1) // 2, ROWS * WIDTH], "failure": None}
    whole = told(kind, connection, {f"{PREFIX[kind]}_query": query})
    assert whole["seen"] == [0, 0]
    assert whole["failure"][:2] == ["limit", False], whole
