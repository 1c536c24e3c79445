"""Regular expressions of inputs: a form without look-around and back-references, which runs in linear time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flowlang.expressions.patterns import reason

if TYPE_CHECKING:
    import jsonschema_rs

_LONGEST = 2000
_MAX_SIZE = 1_000_000  # bytes of a compiled pattern


def pattern_problem(pattern: str) -> str | None:
    """Why `pattern` cannot be used; None when it can."""
    import jsonschema_rs

    if len(pattern) > _LONGEST:
        return f"it is longer than {_LONGEST:,} characters"
    try:
        _validator(pattern)
    except jsonschema_rs.ValidationError:
        return reason(pattern)
    return None


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text` (anchor it to match all of it)."""
    return _validator(pattern).is_valid(text)


@lru_cache(maxsize=512)
def _validator(pattern: str) -> jsonschema_rs.Draft202012Validator:
    import jsonschema_rs

    options = jsonschema_rs.RegexOptions(size_limit=_MAX_SIZE)
    schema = {"type": "string", "pattern": pattern}
    return jsonschema_rs.Draft202012Validator(schema, pattern_options=options, offline=True)
