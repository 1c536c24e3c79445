"""Values as the store keeps them: JSON with the types that JSON lacks in tags (`tasks.tagged`); never pickle."""

from __future__ import annotations

import json
from typing import Any

from flowlang.tasks.table import Table
from flowlang.tasks.tagged import Untaggable, tagged, untagged


class Unstorable(Exception):
    """A value that no store can keep: a stream that is open, or an object of Python that is no value of a flow."""


_read = json.JSONDecoder().decode
_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_KEYS = frozenset({str})
_SCALARS = frozenset({str, int, bool, type(None)})


def encode(value: Any) -> str:
    """`value` as text. Raises `Unstorable`."""
    try:
        return _write(value if _plain(value) else tagged(_whole(value)))
    except (Untaggable, RecursionError) as error:
        raise Unstorable(str(error)) from error


def decode(text: str) -> Any:
    """The value that `encode` wrote."""
    value = _read(text)
    return untagged(value) if '"$' in text else value


def _plain(value: Any) -> bool:
    """Whether it is a flat object of what JSON has types for, as most outputs are: nothing in it wants a tag."""
    return (
        type(value) is dict
        and _SCALARS.issuperset(map(type, value.values()))
        and _KEYS.issuperset(map(type, value))
        and "$" not in "".join(value)
    )


def _whole(value: Any) -> Any:
    """Tables among the values of outputs as the lists that they stand for."""
    if isinstance(value, Table):
        return value.objects()
    if type(value) is dict and any(isinstance(each, Table) for each in value.values()):
        return {key: _whole(each) for key, each in value.items()}
    return value
