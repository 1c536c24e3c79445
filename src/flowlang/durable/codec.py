"""Values as the store keeps them: JSON with the types that JSON lacks in tags (`tasks.tagged`); never pickle."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from flowlang.tasks.table import Table
from flowlang.tasks.tagged import Untaggable, tagged, untagged


class Unstorable(Exception):
    """A value that no store can keep: a stream that is open, or an object of Python that is no value of a flow."""


_fast_read = msgspec.json.Decoder().decode
_fast_write = msgspec.json.Encoder().encode
_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_KEYS = frozenset({str})
_SCALARS = frozenset({str, int, bool, type(None)})


def encode(value: Any) -> str:
    """`value` as text. Raises `Unstorable`."""
    try:
        plain = value if _plain(value) else tagged(_whole(value))
        try:
            return _fast_write(plain).decode()
        except UnicodeEncodeError:  # half of a pair of characters
            return _write(plain)
    except RecursionError as error:
        raise Unstorable("it is nested too deeply") from error
    except (Untaggable, ValueError) as error:  # or a number of more digits than Python writes
        raise Unstorable(str(error)) from error


def decode(text: str) -> Any:
    """The value that `encode` wrote. Raises `ValueError`, and `Untaggable`."""
    try:
        value = _fast_read(text)
    except msgspec.DecodeError:
        value = json.loads(text)  # half of a pair of characters, very long numbers, or no JSON at all
    return untagged(value) if '"$' in text else value


def _plain(value: Any) -> bool:
    """Whether it is a flat object of what JSON has types for, as most outputs are: nothing in it wants a tag."""
    if type(value) is not dict or not _KEYS.issuperset(map(type, value)) or "$" in "".join(value):
        return False
    others = set(map(type, value.values())) - _SCALARS
    return not others or (
        others == {float} and all(type(each) is not float or math.isfinite(each) for each in value.values())
    )


def _whole(value: Any) -> Any:
    """Tables among the values of outputs as the lists that they stand for."""
    if isinstance(value, Table):
        return value.objects()
    if type(value) is dict and any(isinstance(each, Table) for each in value.values()):
        return {key: _whole(each) for key, each in value.items()}
    return value
