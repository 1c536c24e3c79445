"""Events as the store keeps them: chunks of lines, each a JSON array of an event's kind and its fields in their order.

The id of the run stands beside each chunk and not in it. What JSON has no type for is there as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from flowlang.events import Event, kind_of
from flowlang.exceptions import Failure

Told = Mapping[str, Any]
"""An event in its wire form."""
UNREADABLE = "unreadable"
_KINDS: dict[Any, str] = {each: kind_of(each) for each in get_args(Event)}
_FIELDS: dict[str, tuple[str, ...]] = {kind: each._fields[1:] for each, kind in _KINDS.items()}
_FAILING = frozenset(each for each in _KINDS if "failure" in each._fields)
_LARGE = ("inputs", "outputs")
_LONGEST = 64 * 1024  # bytes
_encode = msgspec.json.Encoder(enc_hook=str).encode


def chunk(events: Iterable[Event]) -> str:
    """The lines of `events`."""
    return b"\n".join(map(_line, events)).decode()


def _line(event: Event) -> bytes:
    values: tuple[Any, ...] = event[1:]
    if type(event) in _FAILING:
        values = tuple(each.as_value() if isinstance(each, Failure) else each for each in values)
    kind = _KINDS[type(event)]
    try:
        line = _encode((kind, *values))
        if len(line) <= _LONGEST:
            return line
    except (TypeError, ValueError, RecursionError):  # half of a pair of characters, or nested too deeply
        pass
    fields = zip(type(event)._fields[1:], values)
    return _ascii([kind, *(_short(value) if name in _LARGE else value for name, value in fields)])


def _short(value: Any) -> Any:
    """`value`, unless it is very long or cannot be written: it is in the journal, and not told a second time."""
    try:
        return value if len(_ascii(value)) <= _LONGEST else None
    except (TypeError, ValueError, RecursionError):
        return None


def _ascii(value: Any) -> bytes:
    return json.dumps(value, default=str).encode()


def parsed(lines: str, run_id: str) -> list[Told]:
    """The events of a chunk. Fields that this version does not know are left out; in the place of a line that is
    damaged stands an event of the kind `UNREADABLE`, which has no fields."""
    told: list[Told] = []
    for line in lines.split("\n"):
        try:
            kind, *values = json.loads(line)
            told.append({"event": kind, "run_id": run_id, **dict(zip(_FIELDS.get(kind, ()), values))})
        except (ValueError, TypeError):
            told.append({"event": UNREADABLE, "run_id": run_id})
    return told
