"""Records as JSON text, by the project's one map of values (see `flowlang.tasks.jsontext`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.jsontext import to_json

_DEEPEST = 100


def without_json(values: Mapping[str, Any]) -> dict[str, str]:
    """The values that JSON cannot hold (NaN, objects of Python), and why, by name."""
    reasons = {}
    for name, value in values.items():
        try:
            to_json(value)
        except FlowExecutionError as error:
            reasons[name] = str(error)
    return reasons


def record_json(record: Any, indent: int | None = None) -> str:
    """A record of ours as JSON, always: what a stranger put in it and JSON cannot hold is there as text."""
    import json

    try:
        return to_json(record, indent)
    except FlowExecutionError:
        return json.dumps(_holdable(record), allow_nan=False, indent=indent)  # ASCII: half characters are escaped


def _holdable(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {str(key): _holdable(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)) and depth < _DEEPEST:
        return [_holdable(each, depth + 1) for each in value]
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


__all__ = ["record_json", "to_json", "without_json"]
