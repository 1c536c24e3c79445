"""The test of a connection, as one JSON object and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowlang.diagnostics import Span, visible
from flowlang.views.text import Paint, plain, seconds

if TYPE_CHECKING:
    from flowlang.connections.stages import Stage, Trial

Record = dict[str, Any]
_STATES = {"ok": ("ok", "good"), "failed": ("failed", "error"), "skipped": ("-", "dim"), "not_reached": ("-", "dim")}
_TITLES = {"round_trip": "round trip"}


def trial_record(trial: Trial, place: Span | None = None) -> Record:
    """The object of `--json`. `place`: where the flow says the setting to look at."""
    return {
        "ok": trial.failed is None,
        "connection": trial.connection,
        "type": trial.type,
        "ms": trial.ms,
        "stages": [_stage_record(each, place) for each in trial.stages],
    }


def _stage_record(stage: Stage, place: Span | None) -> Record:
    record: Record = {"name": stage.name, "status": stage.status, "ms": stage.ms}
    if stage.status != "failed":
        return {**record, "detail": stage.detail or None}
    position = None
    if place is not None:
        position = {"file": place.file, "line": place.start.line, "column": place.start.column}
    return {
        **record,
        "error": stage.error,
        "reason": stage.detail,
        "field": stage.field,
        "part": stage.part,
        "position": position,
        "remedy": stage.remedy,
    }


def trial_text(record: Mapping[str, Any], paint: Paint = plain) -> str:
    """One line for each stage, and below the one that failed what to look at and what to do."""
    lines = [f"{paint(visible(record['connection']), 'bold')} ({visible(record['type'])})"]
    for each in record["stages"]:
        word, style = _STATES[each["status"]]
        took = "" if each["ms"] is None or each["status"] == "skipped" else seconds(each["ms"] / 1000)
        about = each.get("reason") or each.get("detail") or ("not reached" if each["status"] == "not_reached" else "")
        title = _TITLES.get(each["name"], each["name"])
        lines.append(f"  {paint(f'{word:<6}', style)}  {title:<12}  {took:>7}  {visible(about)}".rstrip())
        if each["status"] == "failed":
            lines += _advice(each)
    failed = next((each for each in record["stages"] if each["status"] == "failed"), None)
    took = seconds(record["ms"] / 1000)
    if failed is None:
        lines.append(f"{paint('it can be used', 'good')}, tested in {took}")
    else:
        lines.append(f"{paint('failed', 'error')} at {_TITLES.get(failed['name'], failed['name'])}, after {took}")
    return "\n".join(lines)


def _advice(stage: Mapping[str, Any]) -> list[str]:
    indent = " " * 33
    lines = []
    if stage["field"] is not None:
        part = f", its {stage['part']}" if stage["part"] else ""
        at = stage["position"]
        where = f" at {at['file']}:{at['line']}:{at['column']}" if at else ""
        lines.append(f"{indent}look at `{visible(stage['field'])}`{visible(part + where)}")
    if stage["remedy"]:
        lines.append(f"{indent}help: {visible(stage['remedy'])}")
    return lines
