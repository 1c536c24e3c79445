"""Tasks in the schema of a flow: their parameters, in both shapes of a step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from flowlang.tasks.spec import Parameter, TaskSpec
from flowlang.views.keys import MODIFIERS, SERVICE
from flowlang.views.schema.kinds import Schema, computed, of_key, of_type, ref, told
from flowlang.views.tasks import signature, task_record

_FILE = "query_file"
_FORMS = {
    "sql": "SQL; expressions in it are bound.",
    "ident": "Name of a table or column.",
    "path": "Path of a URL; expressions in it are encoded.",
    "query": "Expressions in it are data.",
}


def modifiers(spec: TaskSpec | None = None) -> dict[str, Schema]:
    """What may stand beside a task, and with it."""
    found = {each.name: of_key(each) for each in (*MODIFIERS, *SERVICE)}
    if spec is not None and spec.outputs is not None:
        about = [spec.returns.get(name, "") for name in spec.outputs]
        words: Schema = {"enum": list(spec.outputs), "markdownEnumDescriptions": about}
        described = {key: each for key, each in found["outputs"].items() if key != "$ref"}
        found["outputs"] = {**described, "type": "array", "items": words, "uniqueItems": True}
    return found


def definitions(specs: Mapping[str, TaskSpec]) -> dict[str, Schema]:
    found: dict[str, Schema] = {"own_task": _own_task()}
    for name, spec in specs.items():
        parameters = {"type": "object", "properties": _parameters(spec), "additionalProperties": spec.extra}
        found[f"parameters.{name}"] = parameters
        found[f"task.{name}"] = {
            "type": ["object", "null"],
            "properties": {
                **_parameters(spec),
                **modifiers(spec),
                "inputs": {**told("Parameters whose names are modifiers."), **ref(f"parameters.{name}")},
            },
            "additionalProperties": spec.extra,
        }
        found[f"step.{name}"] = _named(spec)
    return found


def _own_task() -> Schema:
    """A task that the schema does not know: of the flow's own files."""
    return {
        "type": ["object", "null"],
        "description": "A task of the flow's own files.",
        "properties": {**modifiers(), "inputs": ref("values")},
        "errorMessage": "This is no verb, and a task expects an object with its parameters",
    }


def _named(spec: TaskSpec) -> Schema:
    """`- NAME: {…}` with what stands beside it. What is required may stand inside, or in an `inputs`."""
    beside = {**modifiers(spec), "inputs": ref(f"parameters.{spec.name}")}
    body = {**described(spec), **ref(f"task.{spec.name}")}
    step: Schema = {"properties": {spec.name: body, **beside}, "additionalProperties": False}
    wanted = _required(spec)
    if wanted:
        inside = {"if": {"required": ["inputs"]}, "else": {"type": "object", **wanted}}
        step |= {"if": {"required": ["inputs"]}, "else": {"properties": {spec.name: inside}}}
    return step


def by_name(spec: TaskSpec) -> Schema:
    """What holds beside `task: NAME`."""
    wanted = _required(spec)
    inputs: Schema = {**told(f"Parameters of `{spec.name}`."), **ref(f"parameters.{spec.name}")}
    if not wanted:
        return {"properties": {"inputs": inputs, "outputs": modifiers(spec)["outputs"]}}
    inputs["allOf"] = [wanted]
    return {"properties": {"inputs": inputs, "outputs": modifiers(spec)["outputs"]}, "required": ["inputs"]}


def _required(spec: TaskSpec) -> Schema:
    names = [each.name for each in spec.parameters if each.required]
    query = _query(spec)
    if query is None or not query.required:
        return {"required": names} if names else {}
    others = [each for each in names if each != query.name]
    either: Schema = {"if": {"not": {"required": [_FILE]}}, "then": {"required": [query.name]}}
    return {"required": others, **either} if others else either


def _query(spec: TaskSpec) -> Parameter | None:
    """The parameter that a file may be given for."""
    found = spec.parameter("query")
    return found if found is not None and found.form == "sql" else None


def _parameters(spec: TaskSpec) -> dict[str, Schema]:
    found = {each.name: _parameter(each) for each in spec.parameters}
    if _query(spec) is not None:
        found[_FILE] = {"description": "File with the statement, in place of `query`.", "type": "string"}
    return found


def _parameter(each: Parameter) -> Schema:
    said = each.description or _FORMS.get(each.form, "")
    kind = str(each.type) + (", required" if each.required else "")
    schema = told(": ".join(filter(None, [kind, said])))
    if not each.required and not each.secret and _is_json(each.default):
        schema["default"] = each.default
    accepted = of_type(each.type)
    if each.choices is not None:
        nullable = each.type.nullable or each.type.kind == "null"
        accepted = computed({"enum": [*each.choices, None] if nullable else list(each.choices)})
    return schema | accepted


def _is_json(value: Any) -> bool:
    if value is None:
        return False
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def described(spec: TaskSpec) -> Schema:
    """The task's page, short: for completion and hover."""
    text = " ".join(filter(None, [spec.summary, spec.description]))
    lines = [f"`{signature(task_record(spec))}`", text or "A task."]
    outputs = [f"- `{name}` {type_}: {spec.returns.get(name, '')}" for name, type_ in (spec.outputs or {}).items()]
    if outputs:
        lines.append("\n".join(["Outputs:", "", *(each.rstrip(": ") for each in outputs)]))
    if spec.example:
        lines.append(f"```yaml\n{spec.example.strip()}\n```")
    return told(text or "A task.", "\n\n".join(lines))


def unique(specs: Iterable[TaskSpec]) -> dict[str, TaskSpec]:
    """The tasks by name. One that several connection types bring is left out: which is meant, only the check knows."""
    found: dict[str, TaskSpec | None] = {}
    for each in specs:
        found[each.name] = None if each.name in found else each
    return {name: spec for name, spec in found.items() if spec is not None}
