"""A task's specification as a record and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.tasks.spec import Parameter, TaskSpec
from flowlang.views.text import Paint, page, plain, table, wrapped

EFFECTS = {"none": "touches nothing", "read": "only reads", "write": "writes", None: "not stated, treated as a write"}
FORMS = {
    "sql": "SQL; expressions in it are bound",
    "ident": "name of a table or column",
    "path": "path of a URL; expressions in it are encoded",
    "query": "expressions in it are data",
}


def task_record(spec: TaskSpec) -> dict[str, Any]:
    """What `connection info --json` shows of a task."""
    outputs = None
    if spec.outputs is not None:
        outputs = [
            {"name": name, "type": str(type_), "description": spec.returns.get(name, "")}
            for name, type_ in spec.outputs.items()
        ]
    return {
        "name": spec.name,
        "summary": spec.summary,
        "description": spec.description,
        "connection_type": spec.connection_type,
        "origin": spec.origin,
        "effect": spec.effect,
        "idempotent": spec.idempotent,
        "streams": spec.streams,
        "parameters": [_parameter(each) for each in spec.parameters],
        "outputs": outputs,
        "example": spec.example,
    }


def _parameter(each: Parameter) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": each.name,
        "type": str(each.type),
        "required": each.required,
        "description": each.description,
        "form": each.form,
        "secret": each.secret,
    }
    if not each.required:
        record["default"] = "***" if each.secret and each.default else each.default
    if each.choices is not None:
        record["choices"] = list(each.choices)
    return record


def signature(task: Mapping[str, Any]) -> str:
    """`name(a, b=1) → rows, count` of a task's record."""
    shown = [
        each["name"] if each["required"] else f"{each['name']}={literal(each['default'])}"
        for each in task["parameters"]
    ]
    outputs = task["outputs"]
    told = "?" if outputs is None else ", ".join(each["name"] for each in outputs) or "nothing"
    return f"{task['name']}({', '.join(shown)}) → {told}"


def literal(value: object) -> str:
    """A default as a flow would write it."""
    import json

    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


def task_text(task: Mapping[str, Any], paint: Paint = plain) -> str:
    """The page of a task, from its record."""
    kind = f"task of {task['connection_type']} connections" if task["connection_type"] else "task without a connection"
    lines = [f"{paint(task['name'], 'bold')}: {kind}", ""]
    lines += wrapped(task["summary"] or "(not described)")
    if task["description"]:
        lines += ["", *wrapped(task["description"])]
    lines += ["", paint("Parameters", "bold")]
    lines += parameter_lines(task["parameters"], paint) or ["  none"]
    lines += ["", paint("Outputs", "bold"), *_output_lines(task), ""]
    effect = EFFECTS[task["effect"]] + (", may be repeated safely" if task["idempotent"] else "")
    lines.append(f"Effect: {effect}")
    if task["example"]:
        lines += ["", paint("Example", "bold"), *("  " + line for line in page(task["example"]).splitlines())]
    return "\n".join(lines)


def parameter_lines(parameters: Sequence[Mapping[str, Any]], paint: Paint = plain) -> list[str]:
    rows = []
    for each in parameters:
        about = [
            each["description"],
            "" if each["description"] else FORMS.get(each["form"], ""),
            "secret" if each["secret"] else "",
        ]
        if "choices" in each:
            about.append("one of " + ", ".join(literal(choice) for choice in each["choices"]))
        default = "required" if each["required"] else literal(each["default"])
        rows.append((each["name"], each["type"], default, "; ".join(filter(None, about))))
    return table(rows, ("name", "type", "default", ""), indent="  ", paint=paint) if rows else []


def _output_lines(task: Mapping[str, Any]) -> list[str]:
    if task["outputs"] is None:
        return ["  not declared: any key of what the task returns"]
    rows = [(each["name"], each["type"], each["description"]) for each in task["outputs"]]
    lines = table(rows, indent="  ") or ["  none"]
    return [*lines, "  (a stream: read it with for_each)"] if task["streams"] else lines
