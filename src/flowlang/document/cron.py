"""Cron expressions: five fields, or one of the names with `@`. The library that finds the mistakes is the one that will
compute the times, so that what the check accepts is what runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from flowlang.diagnostics import nearest
from flowlang.document.texts import shown
from flowlang.records import frozen

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST = 200  # characters
_DAYS = "SUN MON TUE WED THU FRI SAT".split()
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_FORM = "five fields: minute, hour, day of the month, month, day of the week"


@frozen
class _Field:
    name: str
    values: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", "0 to 59", 0, 59),
    _Field("hour", "0 to 23", 0, 23),
    _Field("day of the month", "1 to 31, `L` for the last, `LW` for the last working day", 1, 31),
    _Field("month", "1 to 12, or JAN to DEC", 1, 12, tuple(_MONTHS)),
    _Field(
        "day of the week", "0 to 7 (0 and 7 are Sunday), or SUN to SAT; `5L` and `5#2` pick one", 0, 7, tuple(_DAYS)
    ),
)


@frozen
class Fault:
    """What is wrong with an expression, from character `start` to `end` of it. `instead` replaces exactly that."""

    start: int
    end: int
    message: str
    note: str = f"a cron expression has {_FORM}"
    instead: str | None = None


def upcoming(text: str, after: datetime, zone: tzinfo = UTC) -> Iterator[datetime]:
    """The times of a valid expression after `after`, in `zone`. A time that the spring skips comes at the end of the
    gap; one that the autumn has twice comes once."""
    from cronsim import CronSim

    return CronSim(ALIASES.get(text.strip().lower(), text), after.astimezone(zone))


def fault_of(text: str) -> Fault | None:
    """The first thing that is wrong with a cron expression."""
    fields = list(_fields(text))
    if len(text) > _LONGEST:
        return Fault(_LONGEST, len(text), f"a cron expression has at most {_LONGEST} characters")
    if text.strip().startswith("@"):
        return _named(text)
    if len(fields) != len(_FIELDS):
        return _wrong_number(text, fields)
    for at, (start, part) in enumerate(fields):
        fault = _in_field(at, start, part)
        if fault is not None:
            return fault
    if not _ever(text):
        start, part = fields[2]
        return Fault(start, start + len(part), f"{shown(text.strip())} never comes: no such month has that day")
    return None


def _fields(text: str) -> Iterator[tuple[int, str]]:
    position = 0
    for part in text.split():
        start = text.index(part, position)
        position = start + len(part)
        yield start, part


def _named(text: str) -> Fault | None:
    name = text.strip().lower()
    if name in ALIASES:
        return None
    start = text.index("@")
    known = ", ".join(f"`{each}`" for each in ALIASES)
    message = f"there is no cron name {shown(text.strip())}"
    return Fault(start, start + len(name), message, f"there are {known}", nearest(name, ALIASES))


def _wrong_number(text: str, fields: list[tuple[int, str]]) -> Fault:
    count = f"{len(fields)} {'field' if len(fields) == 1 else 'fields'}"
    start, end = (fields[0][0], fields[-1][0] + len(fields[-1][1])) if fields else (0, len(text))
    parts = [part for _, part in fields]
    instead = None
    if len(parts) > len(_FIELDS):  # with seconds in front, and with years behind
        shorter = " ".join("*" if part == "?" else part for part in parts[1:6])
        instead = shorter if fault_of(shorter) is None else None
    return Fault(start, end, f"this has {count}", instead=instead)


def _in_field(at: int, start: int, part: str) -> Fault | None:
    field = _FIELDS[at]
    if _accepts(at, part):
        return None
    where = start
    for term in part.split(","):
        if not _accepts(at, term):
            message = f"{shown(term)} is no {field.name}" if term else f"the list of the {field.name} has an empty part"
            end = max(where + len(term), where + 1)
            return Fault(where, end, message, f"{field.name}: {field.values}", _mended(at, field, term))
        where += len(term) + 1
    return Fault(start, start + len(part), f"{shown(part)} is no {field.name}", f"{field.name}: {field.values}")


def _accepts(at: int, part: str) -> bool:
    fields = ["*"] * len(_FIELDS)
    fields[at] = part or "?"
    return _parses(" ".join(fields))


def _parses(text: str) -> bool:
    from cronsim import CronSim, CronSimError

    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _ever(text: str) -> bool:
    return _parses(text) and next(upcoming(text, datetime(2000, 1, 1, tzinfo=UTC)), None) is not None


def _mended(at: int, field: _Field, term: str) -> str | None:
    """A term that was most likely meant."""
    if term == "?":
        return "*"
    if term.isdigit() and int(term) == field.most + 1 and field.least == 0 and not field.words:
        return str(field.least)
    low, dash, high = term.partition("-")
    if dash and all(_accepts(at, each) for each in (low, high)):  # the wrong way round
        first, last = (field.words[field.least], field.words[-1]) if at == 4 and not low.isdigit() else (None, None)
        around = [f"{low}-{last or field.most}", f"{first or field.least}-{high}"]
        return ",".join(around) if all(_accepts(at, each) for each in around) else None
    words = [_word(field, each) for each in (low, high) if each]
    instead = "-".join(each for each in words if each)
    return instead if all(words) and instead != term and _accepts(at, instead) else None


def _word(field: _Field, written: str) -> str | None:
    if written.isdigit() or not field.words:
        return written if written.isdigit() else None
    short = written[:3].upper()
    return short if short in field.words else nearest(written.upper(), field.words)
