"""Lengths of time."""

from __future__ import annotations

import math

import pytest

from flowlang.expressions.durations import nearest_duration, parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h", 3600),
        ("1d", 86400),
        ("30", 30),
        (30, 30),
        (0, 0),
        (0.5, 0.5),
        ("PT5S", 5),
        ("PT0.25S", 0.25),
        ("PT1H30M", 5400),
        ("P1D", 86400),
        ("P1DT12H", 129600),
        ("P2W", 1209600),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    """Every documented form is read as its seconds."""
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "5 s", "s", "-5s", "5x", "P", "PT", "P1Y", "P1M", "PT5", "1h30m", "٣s", "5S"])
def test_what_is_no_duration(value: str) -> None:
    """Any other text is none."""
    assert parse_duration(value) is None


@pytest.mark.parametrize("value", [-1, True, None, math.inf, math.nan, [5], 10**400, "9" * 5000 + "s"])
def test_odd_values_are_no_duration(value: object) -> None:
    """Values of any type are none, and never an exception."""
    assert parse_duration(value) is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("5 seconds", "5s"),
        ("5 sec", "5s"),
        ("10 Minutes", "10m"),
        ("1 hour", "1h"),
        ("2 days", "2d"),
        ("1.5 hrs.", "1.5h"),
        ("100 msec", "100ms"),
        ("2 weeks", "14d"),
        ("5 s", "5s"),
        ("soon", None),
        ("5 parsecs", None),
    ],
)
def test_what_was_meant(text: str, form: str | None) -> None:
    """A duration in words is offered in its form, which is one."""
    assert nearest_duration(text) == form
    assert form is None or parse_duration(form) is not None
