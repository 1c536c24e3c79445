"""Durations: PostgreSQL's have months, days and microseconds, each on its own."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

from flowlang.tasks.jsontext import duration_text

_ISO_INTERVAL = re.compile(
    r"(?P<sign>-?)P(?:(?P<years>-?\d+)Y)?(?:(?P<months>-?\d+)M)?(?:(?P<weeks>-?\d+)W)?(?:(?P<days>-?\d+)D)?"
    r"(?:T(?:(?P<hours>-?\d+)H)?(?:(?P<minutes>-?\d+)M)?(?:(?P<seconds>-?\d+(?:\.\d{1,6})?)S)?)?"
)


def parsed_interval(value: str) -> tuple[int, int, int]:
    """The months, days and microseconds of a text in ISO 8601. Raises ValueError."""
    match = _ISO_INTERVAL.fullmatch(value)
    if match is None or not any(match.groups()[1:]):
        raise ValueError("this text is no duration in ISO 8601 (`P1DT2H`)")
    part = {name: Decimal(text or 0) for name, text in match.groupdict().items() if name != "sign"}
    sign = -1 if match["sign"] else 1
    seconds = part["hours"] * 3600 + part["minutes"] * 60 + part["seconds"]
    days = part["weeks"] * 7 + part["days"]
    return sign * int(part["years"] * 12 + part["months"]), sign * int(days), sign * int(seconds * 1_000_000)


def interval_of(months: int, days: int, micros: int) -> datetime.timedelta | str:
    """A duration; with months, which have no fixed length, as text in ISO 8601."""
    if not months:
        return datetime.timedelta(days=days, microseconds=micros)
    years, rest = _truncated(months, 12)
    date = "".join(f"{number}{unit}" for number, unit in ((years, "Y"), (rest, "M"), (days, "D")) if number)
    clock = duration_text(datetime.timedelta(microseconds=abs(micros))).removeprefix("P") if micros else ""
    if micros < 0:
        clock = re.sub(r"[\d.]+", r"-\g<0>", clock)
    if "D" in clock:  # days are no hours: both are kept as they stand
        hours, rest_micros = _truncated(micros, 3_600_000_000)
        clock = f"T{hours}H" + (f"{Decimal(rest_micros) / 1_000_000}S" if rest_micros else "")
    return f"P{date}{clock}"


def _truncated(number: int, by: int) -> tuple[int, int]:
    whole = abs(number) // by * (1 if number >= 0 else -1)
    return whole, number - whole * by


def as_interval(value: Any) -> tuple[int, int, int]:
    """What asyncpg takes for an interval: months, days, microseconds."""
    if isinstance(value, datetime.timedelta):
        return 0, value.days, value.seconds * 1_000_000 + value.microseconds
    months, days, micros = value
    return months, days, micros
