"""Values as the store keeps them: JSON with the types that JSON lacks in tags (`tasks.tagged`); never pickle."""

from __future__ import annotations

import json
from typing import Any

from flowlang.tasks.table import Table
from flowlang.tasks.tagged import Untaggable, tagged, untagged


class Unstorable(Exception):
    """A value that no store can keep: a stream that is open, or an object of Python that is no value of a flow."""


def encode(value: Any) -> str:
    """`value` as text. Raises `Unstorable`."""
    try:
        return json.dumps(tagged(_whole(value)), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (Untaggable, RecursionError) as error:
        raise Unstorable(str(error)) from error


def decode(text: str) -> Any:
    """The value that `encode` wrote."""
    return untagged(json.loads(text))


def _whole(value: Any) -> Any:
    """Tables among the values of outputs as the lists that they stand for."""
    if isinstance(value, Table):
        return value.objects()
    if type(value) is dict and any(isinstance(each, Table) for each in value.values()):
        return {key: _whole(each) for key, each in value.items()}
    return value
