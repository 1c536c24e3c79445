"""How pieces of a file are shown in messages."""

from __future__ import annotations

import re

_LONGEST = 60


def shown(text: str) -> str:
    """`text` in backticks, on one line and cut when it is long."""
    line = (text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…").replace("\n", "⏎")
    return f'"{line}"' if "`" in line else f"`{line}`"


def with_article(word: str) -> str:
    """`word` in backticks after `a` or `an`."""
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {shown(word)}"


def quoted(text: str) -> str:
    """`text` as a quoted YAML scalar, in backticks."""
    return shown(quote(text))


def quote(text: str) -> str:
    """`text` as a YAML scalar in the quotes that need the fewest escapes."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


_SECRET = re.compile(r"(?i)(?:pass|token|secret|key|credential|auth|dsn|url)\w*[\"']?\s*:")


def quoted_value(line: str, value: str) -> str:
    """`value`, which stands in `line`, as a quoted scalar in backticks; not spelled out when the key in that
    line sounds like a secret's and the value is written literally."""
    return '`"…"`' if _SECRET.search(line) and not value.startswith("${") else quoted(value)
