"""The views are pure: records in, text out."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from flowlang import events
from flowlang.exceptions import Failure
from flowlang.views.findings import failure_text
from flowlang.views.progress import SHOWN, TOLD, Live
from flowlang.views.result import ROWS, outputs_text
from flowlang.views.text import seconds, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ada", "x = Ada"),
        (None, "x = null"),
        (True, "x = true"),
        (Decimal("12.50"), "x = 12.50"),
        (datetime.date(2026, 11, 23), "x = 2026-11-23"),
        (datetime.timedelta(hours=1), "x = PT1H"),
        (b"abc", "x = YWJj"),
        ([], "x = []"),
        ([1, 2], "x = [1, 2]"),
        ({"a": 1}, 'x = {"a": 1}'),
        ("two\nlines", "x:\n  two\n  lines"),
        ([{"n": 1, "t": "a"}, {"n": 22, "t": "bb"}], "x:\n   n  t\n   1  a\n  22  bb"),
        ([{"a": 1}, {"b": 2}], "x:\n  a  b\n  1\n     2"),
        ({"k": "v" * 50, "l": "w" * 60}, f"x:\n  k = {'v' * 50}\n  l = {'w' * 60}"),
        (["long " * 20, "short"], f"x:\n  - {'long ' * 20}\n  - short"),
        ("\x1b[2J", "x = \\x1b[2J"),
    ],
)
def test_outputs_read_well(value: Any, text: str) -> None:
    assert outputs_text({"x": value}) == text


def test_a_long_table_is_cut_and_says_so() -> None:
    lines = outputs_text({"x": [{"n": n} for n in range(ROWS + 7)]}).splitlines()
    assert len(lines) == ROWS + 3
    assert lines[-1] == "  … and 7 more rows (`--json` shows everything)"


def test_columns_align_with_wide_glyphs() -> None:
    assert table([("日本", "a"), ("x", "b")]) == ["日本  a", "x     b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00034, "340 µs"),
        (0.012, "12 ms"),
        (0.9996, "1.0 s"),
        (59.97, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3780, "1 h 3 min"),
    ],
)
def test_durations_as_people_say_them(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_failure_has_all_that_is_known() -> None:
    failure = Failure(
        "connection_lost", "the link broke\nLINE 2: x", flow="f", step="a.b", attempt=2, connection="db", file="f.yaml",
        line=2, column=3, retryable=True, outcome_unknown=True, cause=("Lost: the link broke", "OSError: reset"),
    )  # fmt: skip
    assert failure_text(failure, "r1", {"f.yaml": "flow: f\n- query: x\n"}) == "\n".join(
        [
            "error[connection_lost]: the link broke",
            "  --> f.yaml:2:3",
            "  |",
            "2 | - query: x",
            "  |   ^^^^^",
            "  = note: LINE 2: x",
            "  = note: step `a.b`, attempt 2, connection `db`, flow `f`, run r1",
            "  = note: the outcome is unknown: the operation may have taken effect at the service",
            "  = note: another attempt may help",
            "  = note: raised as Lost: the link broke",
            "  = note: caused by OSError: reset",
            "  = help: `flowlang explain connection_lost` says what `connection_lost` means",
        ]
    )


def test_a_failure_without_a_place_is_still_told() -> None:
    assert failure_text(Failure("cancelled", "", flow="f")).startswith("error[cancelled]: \n  --> f:1:1\n")


# ---------------------------------------------------------------- progress


def started(path: str, operation: str = "op", at: float = 0.0) -> events.StepStarted:
    return events.StepStarted("r", at, path, operation)


def test_live_lines_show_elapsed_time_attempts_waits_and_rows() -> None:
    live = Live()
    live.feed(events.RunStarted("r", 100.0, "f", "f.yaml"))
    live.feed(started("loop", "for_each", 100.0))
    live.feed(started("loop[4].send", "http_post", 101.0))
    live.feed(events.Progress("r", 101.0, "loop", 1200, None))
    live.feed(events.AttemptFailed("r", 102.0, "loop[4].send", 1, 3, Failure("timeout", "slow"), 4.0))
    assert live.lines(103.0) == [
        "f  3.0 s",
        "  ● loop  for_each  3.0 s  1,200 rows",
        "  ● loop[4].send  http_post  2.0 s  attempt 2 of 3  in 3.0 s",
    ]
    assert live.lines(107.0)[2].endswith("attempt 2 of 3")


def test_memory_and_lines_are_bounded_by_the_flow_not_by_the_run() -> None:
    """A hundred thousand turns share two places, and print a few lines."""
    live, lines = Live(unicode=False), []
    live.feed(started("loop", "for_each"))
    for n in range(100_000):
        live.feed(started(f"loop[{n}].send"))
        lines += live.feed(events.StepSucceeded("r", 0.0, f"loop[{n}].send", 0.001))
    assert len(live.places) == 2
    assert len(live.running) == 1
    assert len(lines) == TOLD + 1
    assert lines[-1] == "... loop[*].send  its further turns are not shown one by one"


def test_a_crowd_of_live_steps_fits_the_screen() -> None:
    live = Live()
    for n in range(500):
        live.feed(started(f"all[{n}].one"))
    assert len(live.lines(1.0)) == SHOWN + 1
    assert live.lines(1.0)[-1] == "  … and 480 more steps under way"


def test_the_tree_nests_blocks_and_adds_up_turns() -> None:
    live = Live(unicode=False)
    live.feed(started("loop", "for_each"))
    for n in range(2):
        live.feed(started(f"loop[{n}].check", "if"))
        live.feed(started(f"loop[{n}].check.then.send", "http_post"))
        live.feed(events.StepSucceeded("r", 0.0, f"loop[{n}].check.then.send", 0.5))
        live.feed(events.StepSucceeded("r", 0.0, f"loop[{n}].check", 0.5))
    live.feed(events.StepSucceeded("r", 0.0, "loop", 1.0))
    live.feed(events.StepSkipped("r", 0.0, "last", "log"))
    assert live.tree() == [
        "done loop  for_each  1.0 s",
        "  `- done check  if  1.0 s  ×2",
        "     `- done then.send  http_post  1.0 s  ×2",
        "skipped last  log  skipped",
    ]


def test_names_and_messages_cannot_redraw_the_terminal() -> None:
    live = Live()
    shown = live.feed(events.LogWritten("r", 0.0, "x", "a\x1b[2Jb\rc\nd\u202ee"))
    live.feed(started("\x1b]8;;evil", "o\x07p"))
    shown += live.lines(1.0) + live.tree()
    assert all(line.isprintable() for line in shown)
    assert len(shown) == 5
