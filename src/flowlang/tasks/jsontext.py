"""FlowLang's values as JSON text, always valid, with the same meaning as the function `json()` of expressions.

| value | in JSON |
|---|---|
| null, boolean, text, integer of any size, list, object | itself |
| number | itself; NaN and infinity have no JSON and are refused |
| decimal | a number where that is exact, text otherwise |
| timestamp, date, time | text, ISO 8601, with the offset when there is one |
| duration | text, ISO 8601 (`P1DT2H30M`) |
| uuid | text |
| bytes | text, base64 |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowlang.exceptions import FlowExecutionError

if TYPE_CHECKING:
    from datetime import timedelta
    from decimal import Decimal

_LEAVES = frozenset({str, int, float, bool, type(None)})


def to_json(value: object, indent: int | None = None) -> str:
    """`value` as JSON text, non-ASCII characters as they are. With an indent Python's own writer is ten times as slow
    as without: large values are written in one line, and laid out then.

    Raises FlowExecutionError (`validation`): NaN, infinity, a key that is no text, half a character, a value that
    contains itself, an unknown type.
    """
    import json

    import msgspec

    spaces = indent or 0
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, indent=None if spaces > 0 else indent, default=plain
        )
        _check_keys(value)
        if not text.isascii():
            text.encode()
        return msgspec.json.format(text, indent=spaces) if spaces > 0 else text
    except UnicodeEncodeError as error:
        raise _refused("a text holds half a character (a lone surrogate)") from error
    except (ValueError, TypeError) as error:
        raise _refused(str(error)) from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error


def _refused(why: str) -> FlowExecutionError:
    return FlowExecutionError(f"no JSON for this value: {why}", error_class="validation")


def _check_keys(value: object) -> None:
    """`json.dumps` would turn other keys into text silently, and two keys into one."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            for key in each:
                if not isinstance(key, str):
                    raise TypeError(f"the key {key!r} of an object is no text")
            waiting.extend([child for child in each.values() if type(child) not in _LEAVES])
        elif isinstance(each, (list, tuple)):
            waiting.extend([child for child in each if type(child) not in _LEAVES])


def plain(value: Any) -> Any:
    """What JSON has no type for, as what it has one for. Raises TypeError or ValueError."""
    import base64
    import datetime
    import decimal
    import uuid

    if isinstance(value, decimal.Decimal):
        return _decimal(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no type of FlowLang")


def _decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        raise ValueError("infinity and not-a-number are not part of JSON")
    if abs(value.adjusted()) > 10_000:
        raise ValueError("a decimal has too many digits")
    text = format(value, "f")
    number = float(text)
    if type(value)(repr(number)) != value:  # infinity, when it is too large for a float, differs too
        return text
    return number if "." in text else int(text)


def duration_text(value: timedelta) -> str:
    """A duration in ISO 8601: days and below, the fraction in the seconds (`-P1DT0.5S`)."""
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, micros = divmod(micros, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f"{seconds}.{micros:06d}".rstrip("0") if micros else f"{seconds}"
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    clock += f"{fraction}S" if seconds or micros else ""
    date = f"{days}D" if days else ""
    return f"{sign}P{date}{'T' + clock if clock else ''}" if date or clock else "PT0S"
