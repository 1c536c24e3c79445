"""FlowLang's values in Redis, which stores strings of bytes and knows no other types.

| written | stored as | read back as |
|---|---|---|
| text | UTF-8 | text; a lone surrogate is refused |
| bytes | themselves | bytes when they are no UTF-8, else text; always bytes with `decode_responses: false` |
| integer of any size | its digits | text |
| number | its shortest digits, `inf` | text; NaN is refused |
| decimal | every digit | text |
| boolean | `true`, `false` | text |
| uuid, timestamp, date, time, duration | ISO 8601, as in JSON | text |
| list, object | JSON | text |
| null | refused: Redis has no null | |

Answers that are numbers in Redis (a length, a counter, a score) are integers and numbers here, a missing value is
null. Keys are text or bytes.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.jsontext import plain, to_json
from flowlang.tasks.values import Ident

Word = str | bytes | int | float
"""A part of a command, as the driver packs it."""
Key = str | bytes
_AS_IS: frozenset[type] = frozenset({str, bytes, int})
_GLOB = str.maketrans({each: f"\\{each}" for each in "\\*?[]^-"})


def invalid(message: str) -> FlowExecutionError:
    """What the flow asks for cannot be done; trying again changes nothing."""
    return FlowExecutionError(message, error_class="validation")


# ── what goes in ────────────────────────────────────────────────────────────────────────────────────────────────


def word(value: Any, what: str = "the value") -> Word:
    """One value as Redis stores it. Raises FlowExecutionError (`validation`) that names it as `what`."""
    if type(value) in _AS_IS:
        stored: Word = value
    else:
        stored = _converted(value, what)
    if isinstance(stored, str) and not stored.isascii():
        _check_text(stored, what)
    return stored


def words(values: Sequence[Any], what: str) -> Sequence[Word]:
    """Many values at once; all that can be done in C is. `what` names one of them, `{}` its number."""
    if set(map(type, values)) <= _AS_IS and _all_text(values):
        return values
    return [word(each, what.format(number)) for number, each in enumerate(values, 1)]


def _converted(value: Any, what: str) -> Word:
    if value is None:
        raise invalid(f"{what} is null, which Redis cannot store: delete the key, or store an empty text")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Ident):
        raise invalid(f"{what} is a name made by ident(), which is no value")
    if isinstance(value, (str, int, float)):
        return _number(value, what)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    try:
        if isinstance(value, Decimal):
            return str(value) if value.is_finite() else str(float(value))
        if isinstance(value, (Mapping, list, tuple)):
            return to_json(value)
        if isinstance(value, (UUID, datetime.date, datetime.time, datetime.timedelta)):
            return str(plain(value))
    except FlowExecutionError as error:
        raise invalid(f"{what}: {error}") from error
    raise invalid(f"{what} is of type {type(value).__name__}, which Redis cannot store")


def _number(value: str | int | float, what: str) -> Word:
    """A number, or a subclass of text or integer, as the plain thing."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if value != value:
        raise invalid(f"{what} is NaN, which is no number to come back to")
    return repr(float(value))


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(f"{what} is no valid Unicode text: it holds half a character") from None


def _all_text(values: Iterable[Any]) -> bool:
    try:
        "".join([each for each in values if type(each) is str]).encode()
    except UnicodeEncodeError:
        return False
    return True


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Keys:
    """The keys of a connection: each with `prefix` before it on the wire, and without it in the flow."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._bytes = prefix.encode()

    def wire(self, key: Any, what: str = "`key`") -> Key:
        """The key as the server knows it. Only text and bytes are keys, and never empty ones."""
        if isinstance(key, (bytes, bytearray)):
            found: Key = self._bytes + key
        elif isinstance(key, str) and not isinstance(key, Ident):
            if not key.isascii():
                _check_text(key, what)
            found = self.prefix + key
        else:
            raise invalid(f"{what} is of type {type(key).__name__}; a key is text or bytes")
        if not key:
            raise invalid(f"{what} is empty: an empty key is a mistake more often than a name")
        return found

    def wires(self, keys: Any, what: str = "`keys`") -> list[Key]:
        """The keys of a list, or of one key."""
        if isinstance(keys, (str, bytes)):
            return [self.wire(keys, what)]
        if not isinstance(keys, (list, tuple)):
            raise invalid(f"{what} is of type {type(keys).__name__}; it may be a key or a list of keys")
        if not keys:
            raise invalid(f"{what} is empty: name at least one key")
        if set(map(type, keys)) == {str} and all(keys) and _all_text(keys):  # as nearly always, and quick
            return [self.prefix + each for each in keys] if self.prefix else list(keys)
        return [self.wire(each, f"item {number} of {what}") for number, each in enumerate(keys, 1)]

    def plain(self, key: bytes) -> Key:
        """A key that the server named, as the flow knows it."""
        return text(key[len(self._bytes) :])

    def pattern(self, glob: str) -> str:
        """A pattern that matches below the prefix only: what the prefix itself holds is taken literally."""
        return self.prefix.translate(_GLOB) + glob


# ── what comes out ──────────────────────────────────────────────────────────────────────────────────────────────


def text(value: bytes) -> str | bytes:
    """Text where the bytes are UTF-8, else the bytes: nothing is lost, and nothing replaced."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def reader(decode: bool) -> Callable[[Any], Any]:
    """What makes a value of an answer: bytes to text (if `decode`), also inside lists; the rest as it is."""

    def read(value: Any) -> Any:
        if type(value) is bytes:
            return text(value) if decode else value
        return read_all(value) if type(value) is list else value

    def read_all(values: list[Any]) -> list[Any]:
        if not decode:
            return [read(each) if type(each) is list else each for each in values]
        try:
            return [each if each is None else each.decode() for each in values]
        except (UnicodeDecodeError, AttributeError):
            return [read(each) for each in values]

    return read


def field_name(name: bytes) -> str:
    """The name of a field, which becomes the key of an object. Raises FlowExecutionError (`validation`)."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise invalid(f"the field {name[:40]!r} is no UTF-8, and the keys of an object are text") from None


def number(value: bytes | int | float) -> int | float:
    """A number that Redis answers as text: an integer where it has no fraction."""
    found = float(value)
    return int(found) if found.is_integer() and abs(found) < 2**53 else found
