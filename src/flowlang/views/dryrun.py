"""A dry run as a story to read, and as one record for each call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowlang.diagnostics import visible
from flowlang.dryrun.records import DryRun, Entry
from flowlang.dryrun.scope import BoundSql
from flowlang.dryrun.unknown import Unknown
from flowlang.masking import MASK
from flowlang.views.text import Paint, cut, many, plain
from flowlang.views.text import table as aligned

WIDTH = 100
_LONGEST = 300  # characters of a value
_STYLES = {"maybe": "warning", "skipped": "dim", "fails": "error"}


def dry_run_text(told: DryRun, paint: Paint = plain) -> str:
    """The story: what is given, what is opened, and each step where a run would come to it."""
    lines = [f"{paint(visible(told.flow), 'bold')}: a dry run, nothing is opened or sent"]
    if told.inputs:
        rows = [
            (name, _value(value), "not given" if name in told.missing else "") for name, value in told.inputs.items()
        ]
        lines += ["", paint("inputs", "bold"), *aligned(rows, indent="  ")]
    for each in told.connections:
        title = f"{paint('connection', 'bold')} {visible(each.name)} ({visible(each.type)})"
        lines += ["", title + (", opened by the first step that uses it" if each.lazy else "")]
        lines += aligned([(name, _value(value)) for name, value in each.config.items()], indent="  ")
    lines += ["", paint("steps", "bold")]
    numbers = _Numbers()
    for entry in told.entries:
        lines += _entry(entry, "  ", paint, numbers)
    if told.outputs:
        lines += ["", paint("outputs", "bold")]
        lines += aligned([(name, _value(value)) for name, value in told.outputs.items()], indent="  ")
    lines += ["", _summary(told, paint)]
    return "\n".join(line.rstrip() for line in lines)


class _Numbers:
    """Counts the calls."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        self.last += 1
        return self.last


def _summary(told: DryRun, paint: Paint) -> str:
    calls = [entry for entry, _ in told.calls()]
    open_ = sum(entry.how == "maybe" for entry in calls)
    text = many(len(calls), "call") + (f", {open_} of them not decided yet" if open_ else "")
    if told.ends == "failed":
        return f"{text}; {paint('it fails', 'error')}"
    return f"{text}; it ends with `exit`" if told.ends == "exit" else text


# ---------------------------------------------------------------- entries


def _entry(entry: Entry, indent: str, paint: Paint, numbers: _Numbers) -> Iterator[str]:
    inner = indent + "  "
    if entry.call is not None:
        yield from _call(entry, indent, paint, numbers)
    elif entry.kind in ("if", "switch") and "#" in entry.path.rpartition(".")[2] and entry.how != "skipped":
        inner = indent  # what leads into each of its ways says all
    else:
        notes = f"  ({', '.join(entry.notes)})" if entry.notes else ""
        yield f"{indent}{_head(entry, paint)}{paint(visible(notes), 'dim')}"
        for name, value in (entry.values or {}).items():
            yield from _named(name, value, indent + "    ")
    for each in entry.entries:
        yield from _entry(each, inner, paint, numbers)


_WORDS = {"then": "", "case": "", "catch": "catch", "more": ""}


def _head(entry: Entry, paint: Paint) -> str:
    """The first line of what is no call."""
    text = visible(cut(" ".join(entry.text.split()), _LONGEST))
    if entry.how == "skipped":
        return paint(f"{_title(entry)}: not run, {text}", "dim")
    if entry.how == "fails":
        return f"{paint(f'{_title(entry)} fails', 'error')}: {text}"
    if entry.kind in _WORDS:
        word = _WORDS[entry.kind]
        return paint(f"{word} {text}".strip(), _STYLES.get(entry.how, "bold") if entry.condition else "bold")
    if entry.kind == "on_error":
        return paint(text or "handled by on_error", _STYLES["maybe"] if entry.condition else "bold")
    if entry.kind in ("turn", "branch"):
        return paint(text if entry.condition else f"{entry.kind} {text}", "bold")
    colon = f": {text}" if text else ""
    return f"{paint(_title(entry), 'bold')}{paint(colon, 'warning') if entry.condition else colon}"


def _title(entry: Entry) -> str:
    """The step's verb, and its id when it has one."""
    if entry.kind in ("then", "case"):
        return "if"
    name = entry.path.rpartition(".")[2]
    plain_name = "#" in name or name == entry.kind or entry.kind in ("call", "on_cancel", "finally", "try")
    if entry.kind == "call":
        return visible(name)
    return entry.kind if plain_name else f"{entry.kind} {visible(name)}"


def _call(entry: Entry, indent: str, paint: Paint, numbers: _Numbers) -> Iterator[str]:
    call = entry.call
    assert call is not None
    name = call.path.rpartition(".")[2]
    where = f" on {visible(call.connection)}" if call.connection is not None else ""
    as_ = f" as {visible(name)}" if "#" not in name else ""
    notes = f"  ({', '.join(entry.notes)})" if entry.notes else ""
    number = f"{numbers.next()}."
    style = "bold" if entry.how == "runs" else "warning"
    yield f"{indent}{number} {paint(visible(call.operation), style)}{where}{as_}{paint(visible(notes), 'dim')}"
    yield from _fields(call.arguments, indent + "     ")


# ---------------------------------------------------------------- values


def _named(name: str, value: Any, indent: str) -> Iterator[str]:
    """`name: value`, below each other when it does not fit on a line."""
    name = visible(str(name))
    if isinstance(value, BoundSql):
        yield from _sql(name, value, indent)
        return
    short = _value(value)
    fits = len(indent) + len(name) + len(short) + 2 <= WIDTH
    if fits or not isinstance(value, (Mapping, list, tuple)) or _flat(value):
        yield f"{indent}{name}: {short}"
        return
    yield f"{indent}{name}:"
    if isinstance(value, Mapping):
        yield from _fields(value, indent + "  ")
        return
    for each in value:
        lines = [*_fields(each, "")] if isinstance(each, Mapping) else [_value(each)]
        yield from (f"{indent}  {'  ' if at else '- '}{line}" for at, line in enumerate(lines))


def _fields(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, each in values.items():
        yield from _named(key, each, indent)


def _flat(value: Any) -> bool:
    """Whether a list or object holds no others and no SQL."""
    inside = value.values() if isinstance(value, Mapping) else value
    return not any(isinstance(each, (Mapping, list, tuple, BoundSql)) for each in inside)


def _sql(name: str, value: BoundSql, indent: str) -> Iterator[str]:
    lines = value.text.rstrip().split("\n")
    if len(lines) == 1 and len(indent) + len(name) + len(lines[0]) + 2 <= WIDTH * 2:
        yield f"{indent}{name}: {visible(lines[0].strip())}"
    else:
        yield f"{indent}{name}:"
        yield from (f"{indent}  {visible(line)}" for line in lines)
    for at, each in enumerate(value.values, 1):
        yield f"{indent}?{at} = {_value(each)}"


def _value(value: Any) -> str:
    """A value on one line: what is known as JSON says it, what is not as the flow says it."""
    return visible(cut(_inline(value), _LONGEST))


def _inline(value: Any) -> str:
    from flowlang.views.result import inline

    if isinstance(value, Unknown):
        return " ".join(value.source.split())
    if isinstance(value, BoundSql):
        return f"{' '.join(value.text.split())} ← {_inline(value.values)}" if value.values else value.text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, str) and value != MASK:
        return _quoted(value)
    return inline(value)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


# ---------------------------------------------------------------- records


def dry_run_record(told: DryRun) -> dict[str, Any]:
    """The dry run for programs. What is not known is text with `${…}`; `unknown` names those places of the
    arguments, so that nobody takes it for a value."""
    return {
        "flow": told.flow,
        "file": told.file,
        "inputs": _record(told.inputs),
        "missing": list(told.missing),
        "connections": [
            {"name": each.name, "type": each.type, "lazy": each.lazy, "config": _record(each.config)}
            for each in told.connections
        ],
        "calls": [_call_record(entry, when) for entry, when in told.calls()],
        "outputs": _record(told.outputs),
        "ends": told.ends or None,
    }


def _call_record(entry: Entry, when: Sequence[str]) -> dict[str, Any]:
    call = entry.call
    assert call is not None
    return {
        "path": call.path,
        "operation": call.operation,
        "connection": call.connection,
        "arguments": _record(call.arguments),
        "unknown": [*_unknown(call.arguments, "")],
        "certain": entry.how == "runs",
        "when": list(when),
        "place": entry.place,
    }


def _record(value: Any) -> Any:
    if isinstance(value, Unknown):
        return value.source
    if isinstance(value, BoundSql):
        return {"sql": value.text, "values": _record(value.values)}
    if isinstance(value, Mapping):
        return {str(key): _record(each) for key, each in value.items()}
    return [_record(each) for each in value] if isinstance(value, (list, tuple)) else value


def _unknown(value: Any, path: str) -> Iterator[str]:
    """The places of `value` that are not known, as `query.values[0]`."""
    if isinstance(value, Unknown):
        yield path
    elif isinstance(value, BoundSql):
        yield from _unknown(value.values, f"{path}.values")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unknown(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for at, each in enumerate(value):
            yield from _unknown(each, f"{path}[{at}]")
