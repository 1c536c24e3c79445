"""The outputs of a run as text: `name = value`, lists of objects as tables, long texts and lists below their name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.diagnostics import visible
from flowlang.views.text import Paint, cut, many, plain, table

WIDTH = 100
ROWS = 50  # of a list; the others are counted, `--json` has them all
CELL = 60  # characters of a cell in a table
DEEPEST = 8


def outputs_text(outputs: Mapping[str, Any], paint: Paint = plain) -> str:
    """All outputs, each on its own line or below it. The values have been masked already."""
    lines: list[str] = []
    for name, value in outputs.items():
        lines += _entry(visible(str(name)), value, "", paint, 0)
    return "\n".join(lines)


def _entry(name: str, value: Any, indent: str, paint: Paint, depth: int) -> list[str]:
    """One `name = value`, or the name and its value below."""
    shown = paint(name, "bold")
    short = inline(value if depth >= DEEPEST else beginning(value, WIDTH))
    fits = "\n" not in short and len(indent) + len(name) + len(short) + 3 <= WIDTH
    if not _is_table(value) and (fits or depth >= DEEPEST or not isinstance(value, (str, Mapping, list, tuple))):
        return [f"{indent}{shown} = {visible(short)}"]
    inner = indent + "  "
    if isinstance(value, str):
        lines = value.split("\n")
        return [f"{indent}{shown}:", *(f"{inner}{visible(each)}" for each in lines)]
    if isinstance(value, Mapping):
        head = [f"{indent}{shown}:"]
        return head + [line for key in value for line in _entry(visible(str(key)), value[key], inner, paint, depth + 1)]
    return [f"{indent}{shown}:", *_list(value, inner, paint, depth)]


def _list(items: Sequence[Any], indent: str, paint: Paint, depth: int) -> list[str]:
    shown = items[:ROWS]
    lines = _table(shown, indent, paint) if _is_table(items) else []
    if not lines:
        for each in shown:
            lines += _item(each, indent, paint, depth)
    if len(items) > ROWS:
        more = many(len(items) - ROWS, "more row" if _is_table(items) else "more item")
        lines.append(indent + paint(f"… and {more} (`--json` shows everything)", "dim"))
    return lines


def _item(value: Any, indent: str, paint: Paint, depth: int) -> list[str]:
    short = inline(value if depth >= DEEPEST else beginning(value, WIDTH))
    if depth >= DEEPEST or (len(short) + len(indent) + 2 <= WIDTH and "\n" not in short):
        return [f"{indent}- {visible(short)}"]
    if isinstance(value, str):
        first, *rest = value.split("\n")
        return [f"{indent}- {visible(first)}", *(f"{indent}  {visible(each)}" for each in rest)]
    if isinstance(value, Mapping):
        lines = [
            line for key in value for line in _entry(visible(str(key)), value[key], indent + "  ", paint, depth + 1)
        ]
    elif isinstance(value, (list, tuple)):
        lines = _list(value, indent + "  ", paint, depth + 1)
    else:
        lines = [f"{indent}  {visible(short)}"]
    return [f"{indent}- {lines[0].lstrip()}", *lines[1:]] if lines else [f"{indent}-"]


def _is_table(value: Any) -> bool:
    """Whether it is a list of objects with few, plain columns."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    columns: dict[str, None] = {}
    for row in value[:ROWS]:
        if not isinstance(row, Mapping) or not row:
            return False
        columns.update(dict.fromkeys(map(str, row)))
    return len(columns) <= 12


def _table(rows: Sequence[Mapping[str, Any]], indent: str, paint: Paint) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [[cut(inline(beginning(row[key], CELL)), CELL) if key in row else "" for key in columns] for row in rows]
    numbers = [at for at, key in enumerate(columns) if all(_is_number(row.get(key)) for row in rows)]
    return table(body, [visible(str(each)) for each in columns], right=numbers, indent=indent, paint=paint)


def _is_number(value: Any) -> bool:
    from decimal import Decimal

    return value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool))


def beginning(value: Any, size: int) -> Any:
    """As much of `value` as shows in the first `size` characters of its text, and the text of that is longer when that
    of the whole is: what is cut off anyway is not looked at."""
    return _beginning(value, [size])


def _beginning(value: Any, left: list[int]) -> Any:
    """`left`: characters, of which what is taken uses up at least one for each value."""
    if isinstance(value, str):
        kept = value[: left[0] + 1]
        left[0] -= len(kept) or 1
        return kept
    left[0] -= 1
    if isinstance(value, Mapping):
        found = {}
        for key, each in value.items():
            if left[0] < 0:
                break
            left[0] -= len(key) if isinstance(key, str) else 1
            found[key] = _beginning(each, left)
        return found
    if isinstance(value, (list, tuple)):
        items = []
        for each in value:
            if left[0] < 0:
                break
            items.append(_beginning(each, left))
        return items
    return value


def inline(value: Any) -> str:
    """`value` on one line (a text keeps its line breaks): texts as they are, the rest as JSON says it."""
    return value if isinstance(value, str) else _nested(value)


def _nested(value: Any) -> str:
    from decimal import Decimal

    from flowlang.exceptions import FlowExecutionError
    from flowlang.tasks.jsontext import plain as json_value
    from flowlang.tasks.jsontext import to_json

    try:
        if value is None or isinstance(value, (bool, int, float, Mapping, list, tuple)):
            return to_json(value)
        if isinstance(value, Decimal) and value.is_finite():
            return format(value, "f")  # every digit; JSON's number would drop trailing zeros
        return str(json_value(value))
    except (FlowExecutionError, TypeError, ValueError):
        return str(value)  # NaN, or a Python object of a user's task: shown as Python shows it
