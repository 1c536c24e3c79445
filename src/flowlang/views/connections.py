"""Connection types as text. Each function takes the record that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.diagnostics import visible
from flowlang.views.tasks import literal, signature
from flowlang.views.text import Paint, many, plain, table, wrapped

Record = Mapping[str, Any]


def list_text(records: Sequence[Record], paint: Paint = plain) -> str:
    """One line for each usable type, then those that cannot be used, with the reason."""
    usable = [each for each in records if each["problem"] is None]
    broken = [each for each in records if each["problem"] is not None]
    rows = [
        (each["type"], each["version"] or "-", str(each["tasks"]), each["source"], each["description"])
        for each in usable
    ]
    lines = table(rows, ("type", "version", "tasks", "source", "description"), right=[2], paint=paint)
    if not usable:
        lines = ["no connection type can be used"]
    if broken:
        lines += ["", paint(f"{many(len(broken), 'type')} cannot be used:", "warning")]
        lines += [line for each in broken for line in _problem_lines(each, paint)]
    return "\n".join(lines)


def plugins_text(records: Sequence[Record], paint: Paint = plain) -> str:
    """One line for each usable plugin with its package and what it lacks, then those that cannot be used."""
    rows = [
        (each["type"], each["version"] or "-", each["source"], each["class"] or "-", _lacks(each))
        for each in records
        if each["problem"] is None
    ]
    lines = table(rows, ("type", "version", "package", "class", "missing"), paint=paint) if rows else []
    broken = [each for each in records if each["problem"] is not None]
    if broken:
        lines += [*([""] if lines else []), paint(f"{many(len(broken), 'plugin')} cannot be used:", "warning")]
        lines += [line for each in broken for line in _problem_lines(each, paint)]
    return "\n".join(lines) or "there are no plugins"


def _lacks(record: Record) -> str:
    return f"{', '.join(record['missing'])}: {record['install']}" if record["missing"] else "-"


def _problem_lines(record: Record, paint: Paint) -> list[str]:
    source = record["source"] + (f", {record['entry_point']}" if record["entry_point"] else "")
    head = f"  {paint(visible(record['type']), 'bold')} ({visible(source)})"
    return [head, *wrapped(record["problem"], indent="    ")]


def info_text(record: Record, paint: Paint = plain) -> str:
    """Everything about one type: where it comes from, what it needs, its settings, its tasks."""
    if record["problem"] is not None:
        return "\n".join(["it cannot be used:", *_problem_lines(record, paint)])
    title = f"{paint(visible(record['type']), 'bold')} {visible(record['version'] or '')}".rstrip()
    lines = [title, *wrapped(record["description"] or "(not described)"), ""]
    facts = [("source", record["source"]), ("category", record["category"])]
    if record["entry_point"]:
        facts.insert(1, ("entry point", record["entry_point"]))
    lines += table([*facts, *manners(record)])
    lines += ["", paint("Needs", "bold"), *dependency_lines(record["dependencies"], paint)]
    lines += ["", paint("Settings", "bold"), *config_lines(record["config"], paint)]
    lines += ["", paint("Tasks", "bold")]
    for each in record["tasks"]:
        lines.append(f"  {visible(signature(each))}")
        lines += wrapped(each["summary"], indent="      ") if each["summary"] else []
    if not record["tasks"]:
        lines.append("  none")
    else:
        lines += ["", f"`flowlang explain {record['tasks'][0]['name']}` shows one in full."]
    return "\n".join(lines)


def manners(record: Record) -> list[tuple[str, str]]:
    """How a service in YAML is asked, in words: that of its file, from `describing.manners`."""
    rows = []
    if rate := record.get("rate_limit"):
        rows.append(("rate limit", f"{many(rate['requests'], 'request')} in {rate['per']:g} s"))
    if retry := record.get("retry"):
        told = [f"{many(retry['max_attempts'], 'attempt')}, {retry['backoff']} from {retry['delay']:g} s"]
        told += [f"{retry[key]:g} s {words}" for key, words in _BOUNDS.items() if key in retry]
        told += [f"{word} {', '.join(map(str, retry[word]))}" for word in ("on", "unless") if word in retry]
        rows.append(("retry", f"{'; '.join(told)}; a step or the flow may say otherwise"))
    return rows


_BOUNDS = {"max_delay": "between two at most", "max_elapsed": "in all at most"}


def config_lines(fields: Sequence[Record], paint: Paint = plain) -> list[str]:
    """The settings of a type as a table."""
    rows = []
    for each in fields:
        default = "required" if each["required"] else literal(each["default"]) if "default" in each else ""
        about = [each["description"], bounds(each), "secret" if each["secret"] else ""]
        rows.append((each["key"], each["type"], default, "; ".join(filter(None, about))))
    return table(rows, ("key", "type", "default", ""), indent="  ", paint=paint) if rows else ["  none"]


def bounds(each: Record) -> str:
    if "enum" in each:
        return "one of " + ", ".join(map(literal, each["enum"]))
    low, high = each.get("minimum"), each.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""


def dependency_lines(dependencies: Sequence[Record], paint: Paint = plain) -> list[str]:
    """One line for each requirement, with what is there."""
    if not dependencies:
        return ["  nothing beyond Python"]
    rows = []
    for each in dependencies:
        state = "ok" if each["satisfied"] else "missing"
        found = f"{each['installed']} is installed" if each["installed"] else ""
        rows.append((state, each["requirement"], each["reason"] or found))
    lines = table(rows, indent="  ")
    return [
        line if each["satisfied"] else line.replace("missing", paint("missing", "error"), 1)
        for line, each in zip(lines, dependencies)
    ]


def deps_text(records: Sequence[Record], paint: Paint = plain) -> str:
    """The requirements of several types."""
    lines: list[str] = []
    for each in records:
        lines += [paint(visible(each["type"]), "bold")]
        lines += [f"  {visible(each['problem'])}"] if each["problem"] else dependency_lines(each["dependencies"], paint)
        if each["install"]:
            lines.append(f"  install with: {visible(each['install'])}")
    return "\n".join(lines)
