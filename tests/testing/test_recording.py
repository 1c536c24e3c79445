"""`--record`: real services are asked once, and what they replied is replayed ever after."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Done
from tests.testing.support import in_pytest

from flowlang.tasks.tagged import tagged, untagged
from flowlang.testing import run_tests

FLOW = """
flow: f
tasks: [own.py]
inputs:
  - {name: least, type: integer, default: 2}
connections:
  db: {type: sqlite, database: shop.db}
steps:
  - sqlite_query: {id: goods, query: "SELECT name FROM goods WHERE price >= ${inputs.least} ORDER BY name"}
  - id: each
    for_each: "${goods.rows}"
    do:
      - odd: {id: odd, name: "${item.name}", token: "${secrets.token}"}
    collect: "${odd.made}"
outputs:
  - {name: made, value: "${each.results}"}
"""
TASKS = """
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID
from flowlang import Secret, task

@task(effect="read")
async def odd(name: str, token: Secret[str]) -> dict:
    made = {"name": name, "price": Decimal("1.20"), "at": datetime(2026, 1, 2, tzinfo=UTC), "raw": b"\\x00\\xff"}
    return {"made": made | {"id": UUID(int=7), "echo": f"you said {token}", "$odd": 1}}
"""
TESTS = """
recorded: [db]
secrets: {token: open-sesame}
mocks:
  odd: {recorded: true}
tests:
  - name: what there is
    expect: {calls: [goods, {step: odd, times: 2}]}
"""


@pytest.fixture
def shop(folder: Path) -> Path:
    """A flow on a database, with a test that records it."""
    (folder / "flow.yaml").write_text(FLOW, "utf-8")
    (folder / "own.py").write_text(TASKS, "utf-8")
    (folder / "flow.test.yaml").write_text(TESTS, "utf-8")
    with sqlite3.connect(folder / "shop.db") as db:
        db.execute("CREATE TABLE goods (name, price)")
        db.executemany("INSERT INTO goods VALUES (?, ?)", [("pen", 3), ("ink", 5), ("cap", 1)])
    db.close()
    return folder


def replies(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "flow.replies.yaml").read_text("utf-8")
    return json.loads(text.partition("\n")[2])["what there is"]  # type: ignore[no-any-return]


def test_without_a_recording_the_test_says_to_record(shop: Path, cli: Callable[..., Done]) -> None:
    """Nothing is asked for real unless it is to be recorded."""
    done = cli("test")
    assert done.code == 1
    assert "step `goods` is to be replayed, and nothing was recorded for this test" in done.err
    assert "help: run `flowlang test --record`" in done.err


def test_a_recording_is_replayed_without_the_service(shop: Path, cli: Callable[..., Done]) -> None:
    """Once recorded, the database is not needed any more; the values keep their types."""
    assert cli("test", "--record").code == 0
    (shop / "shop.db").unlink()
    assert cli("test").code == 0
    (outcome,) = run_tests(shop).outcomes
    made = next(each.outputs for each in reversed(outcome.events) if getattr(each, "path", "") == "each[0].odd")
    assert made == {
        "made": {
            "name": "ink",
            "price": Decimal("1.20"),
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "raw": b"\x00\xff",
            "id": UUID(int=7),
            "echo": "you said ***",
            "$odd": 1,
        }
    }


def test_pytest_records_what_it_is_told_to(shop: Path) -> None:
    """`--flowlang-record` writes what `flowlang test --record` would; a test that fails keeps what it had."""
    assert "1 failed" in in_pytest(shop)
    told = in_pytest(shop, "--flowlang-record")
    assert "1 passed" in told
    assert "recorded flow.replies.yaml" in told
    (shop / "shop.db").unlink()
    assert "1 passed" in in_pytest(shop)
    before = (shop / "flow.replies.yaml").read_text("utf-8")
    assert "1 failed" in in_pytest(shop, "--flowlang-record")
    assert (shop / "flow.replies.yaml").read_text("utf-8") == before


def test_a_recording_holds_no_secret(shop: Path, cli: Callable[..., Done]) -> None:
    """What is tainted is masked, and so is the value of a secret wherever it turns up."""
    cli("test", "--record")
    text = (shop / "flow.replies.yaml").read_text("utf-8")
    assert "open-sesame" not in text
    assert [each["inputs"] for each in replies(shop)[1:]] == [
        {"name": "ink", "token": "***"},
        {"name": "pen", "token": "***"},
    ]


SEALED = """
flow: f
connections:
  db: {type: sqlite, database: shop.db}
steps:
  - sqlite_query: {id: q, query: "SELECT price FROM goods WHERE name = ${secrets.name} AND price > ${1 + 1}"}
"""
SEALED_TEST = "recorded: [db]\nsecrets: {name: pen}\ntests:\n  - name: what there is\n"


def test_a_statement_with_a_secret_keeps_its_text_and_hides_its_values(shop: Path, cli: Callable[..., Done]) -> None:
    """So that a changed statement is noticed; a secret too short to be searched for is hidden as well."""
    (shop / "flow.yaml").write_text(SEALED, "utf-8")
    (shop / "flow.test.yaml").write_text(SEALED_TEST, "utf-8")
    done = cli("test", "--record")
    assert done.code == 0, done.err
    statement = "SELECT price FROM goods WHERE name = ? AND price > ?"
    assert replies(shop)[0]["inputs"] == {"query": statement, "params": ["***", "***"]}
    assert cli("test").code == 0
    (shop / "flow.yaml").write_text(SEALED.replace("price > ", "price < "), "utf-8")
    done = cli("test")
    assert done.code == 1
    assert "with other arguments than were recorded: `query` was" in done.err


def test_a_failure_that_may_hold_a_short_secret_is_recorded_without_its_text(
    shop: Path, cli: Callable[..., Done]
) -> None:
    (shop / "flow.yaml").write_text(
        SEALED.replace("FROM goods WHERE name = ${secrets.name} AND", "FROM ${ident(secrets.name)} WHERE"), "utf-8"
    )
    (shop / "flow.test.yaml").write_text(f"{SEALED_TEST}    expect: {{error: {{type: not_found}}}}\n", "utf-8")
    done = cli("test", "--record")
    assert done.code == 0, done.err
    assert "pen" not in (shop / "flow.replies.yaml").read_text("utf-8")
    assert "withheld" in replies(shop)[0]["error"]["message"]


def test_a_recording_is_the_same_each_time(shop: Path, cli: Callable[..., Done]) -> None:
    """The calls stand in the order of the flow's text, then by turn."""
    cli("test", "--record")
    first = (shop / "flow.replies.yaml").read_text("utf-8")
    assert [each["step"] for each in replies(shop)] == ["goods", "each[0].odd", "each[1].odd"]
    assert cli("test", "--record").code == 0
    assert (shop / "flow.replies.yaml").read_text("utf-8") == first


def test_a_call_with_other_arguments_says_to_record_again(shop: Path, cli: Callable[..., Done]) -> None:
    """The recording is for the call as it was; the message says what is different."""
    cli("test", "--record")
    (shop / "flow.yaml").write_text(FLOW.replace("default: 2", "default: 4"), "utf-8")
    done = cli("test")
    assert done.code == 1
    expected = "step `goods` calls `sqlite_query` with other arguments than were recorded: `params` was [2] and is [4]"
    assert expected in done.err


def test_a_failure_is_recorded_as_a_failure(shop: Path, cli: Callable[..., Done]) -> None:
    """The class and the words of an error are replayed, too."""
    (shop / "flow.yaml").write_text(FLOW.replace("FROM goods", "FROM nowhere"), "utf-8")
    test = "recorded: [db]\nsecrets: {token: open-sesame}\ntests:\n  - name: what there is\n    expect:\n"
    (shop / "flow.test.yaml").write_text(test + "      error: {detail: no such table, step: goods}\n", "utf-8")
    assert cli("test", "--record").code == 0
    assert replies(shop)[0]["error"]["message"] == "no such table: nowhere"
    (shop / "shop.db").unlink()
    assert cli("test").code == 0


def test_a_test_that_fails_keeps_its_old_recording(shop: Path, cli: Callable[..., Done]) -> None:
    """Only a run that is as expected is worth keeping."""
    cli("test", "--record")
    first = (shop / "flow.replies.yaml").read_text("utf-8")
    with sqlite3.connect(shop / "shop.db") as db:
        db.execute("DELETE FROM goods")
    db.close()
    assert cli("test", "--record").code == 1
    assert (shop / "flow.replies.yaml").read_text("utf-8") == first


def test_a_broken_recording_is_named(shop: Path, cli: Callable[..., Done]) -> None:
    """A file that was edited by hand is no reason to ask the service."""
    (shop / "flow.replies.yaml").write_text("what there is: [", "utf-8")
    done = cli("test")
    assert done.code == 1
    assert "`flow.replies.yaml` is not what `--record` writes: record again" in done.err


def test_a_stream_is_recorded_row_by_row(folder: Path, cli: Callable[..., Done]) -> None:
    """What a stream gave is replayed as a stream."""
    flow = "flow: f\nsteps:\n  - csv_read: {id: facts, path: facts.csv}\n  - id: each\n"
    flow += '    for_each: "${facts.rows}"\n    do:\n      - log: "${item.n}"\n    collect: "${item.n}"\n'
    flow += 'outputs:\n  - {name: all, value: "${each.results}"}\n'
    (folder / "flow.yaml").write_text(flow, "utf-8")
    (folder / "facts.csv").write_text("n\none\ntwo\n", "utf-8")
    test = "mocks:\n  facts: {recorded: true}\ntests:\n  - name: rows\n    expect: {outputs: {all: [one, two]}}\n"
    (folder / "flow.test.yaml").write_text(test, "utf-8")
    assert cli("test", "--record").code == 0
    (folder / "facts.csv").unlink()
    assert cli("test").code == 0


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.just(UTC)).map(lambda each: each.replace(fold=0))
    | st.dates()
    | st.times().map(lambda each: each.replace(fold=0))
    | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9000))
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["$decimal", "$object", "$x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    """Types included: a decimal stays one, a date is no timestamp, and keys that begin with `$` are no tags."""
    back = untagged(json.loads(json.dumps(tagged(value))))
    assert (back, repr(back)) == (value, repr(value))


def test_a_duration_below_nothing_comes_back() -> None:
    assert untagged(tagged([timedelta(days=-1, seconds=5), date(2026, 1, 1), time(1, 2)])) == [
        timedelta(days=-1, seconds=5),
        date(2026, 1, 1),
        time(1, 2),
    ]
