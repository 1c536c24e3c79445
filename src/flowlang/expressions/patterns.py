"""Why a text is no regular expression of the kind that is run in linear time."""

from __future__ import annotations

import re


def reason(pattern: str) -> str:
    """What is wrong with a refused `pattern`. The engine does not say; Python's parser does where both refuse it."""
    try:
        re.compile(pattern)
    except re.error as error:
        return error.msg
    except (RecursionError, OverflowError):
        return "it is too large"
    if re.search(r"\(\?<?[=!]", pattern):
        return "it looks around, which takes unbounded time"
    if re.search(r"\\[1-9]|\(\?P=", pattern):
        return "it refers back, which takes unbounded time"
    return "it is too large, or has a form that only Python knows"
