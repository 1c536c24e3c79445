"""Cron expressions: what is accepted runs, what is refused is pointed at, and the clock may be changed meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.document.cron import ALIASES, fault_of, upcoming

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "*/15 9-17 * * MON-FRI",
        "0 0 1,15 jan *",
        "0 0 L * *",
        "0 0 LW * 5#2",
        " 5 4 * * 5L ",
        *ALIASES,
        "@DAILY",
    ],
)
def test_valid(text: str) -> None:
    assert fault_of(text) is None
    assert len(list(islice(upcoming(text, datetime(2026, 1, 1, tzinfo=UTC)), 3))) == 3


@pytest.mark.parametrize(
    ("text", "where", "words", "instead"),
    [
        ("60 * * * *", "60", "no minute", "0"),
        ("0 24 * * *", "24", "no hour", "0"),
        ("0 0 1,32 * *", "32", "no day of the month", None),
        ("0 0 0 * *", "0", "no day of the month", None),
        ("0 0 * 13 *", "13", "no month", None),
        ("0 0 * january *", "january", "no month", "JAN"),
        ("0 0 * * monday", "monday", "no day of the week", "MON"),
        ("0 0 * * MO", "MO", "no day of the week", "MON"),
        ("0 0 * * FRI-MON", "FRI-MON", "no day of the week", "FRI-SAT,SUN-MON"),
        ("0 22-6 * * *", "22-6", "no hour", "22-23,0-6"),
        ("0 0 ? * *", "?", "no day of the month", "*"),
        ("*/0 * * * *", "*/0", "no minute", None),
        ("0 1,,2 * * *", ",", "an empty part", None),
        ("0 0 30 2 *", "30", "never comes", None),
        ("0 0 31 4,6 *", "31", "never comes", None),
        ("0 0 12 * * ?", "0 0 12 * * ?", "6 fields", "0 12 * * *"),
        ("0 0", "0 0", "2 fields", None),
        ("", "", "0 fields", None),
        ("@dayly", "@dayly", "no cron name", "@daily"),
        ("@reboot", "@reboot", "no cron name", None),
    ],
)
def test_the_fault_is_pointed_at(text: str, where: str, words: str, instead: str | None) -> None:
    fault = fault_of(text)
    assert fault is not None
    assert words in fault.message
    assert fault.instead == instead
    assert text[fault.start : fault.end] == where
    if instead is not None:
        assert fault_of(text[: fault.start] + instead + text[fault.end :]) is None


@given(st.text(alphabet="0123456789*/,-#LW? @JANMON", max_size=40))
def test_any_text_is_accepted_or_explained(text: str) -> None:
    """And what is accepted has times."""
    fault = fault_of(text)
    if fault is None:
        assert next(upcoming(text, datetime(2026, 1, 1, tzinfo=UTC)), None) is not None
    else:
        assert 0 <= fault.start <= fault.end <= len(text) + 1


def test_a_long_one_is_refused_at_once() -> None:
    fault = fault_of(",".join(["1"] * 100_000) + " * * * *")
    assert fault is not None
    assert "at most 200 characters" in fault.message


def test_a_time_in_the_gap_of_spring_comes_at_its_end() -> None:
    times = upcoming("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), BERLIN)
    assert [each.isoformat() for each in islice(times, 2)] == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_a_time_that_autumn_has_twice_comes_once() -> None:
    times = upcoming("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=UTC), BERLIN)
    assert [each.isoformat() for each in islice(times, 2)] == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
