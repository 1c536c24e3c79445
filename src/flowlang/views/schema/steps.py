"""A step in the schema of a flow.

What a step is shows in the key that it has, so the schema looks for that key and then asks for exactly what belongs
to it: `if` it has `log`, `then` these keys and no other. A step without any such key is offered all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.tasks.spec import TaskSpec
from flowlang.views import keys
from flowlang.views.keys import MODIFIERS, SERVICE, Key
from flowlang.views.schema import tasks
from flowlang.views.schema.kinds import Schema, closed, of_key, ref, told
from flowlang.views.verbs import VERBS

_IS_IF: Schema = {
    "type": "object",
    "required": ["if"],
    "anyOf": [{"required": ["then"]}, {"required": ["elif"]}, {"required": ["else"]}],
}
_NOTHING = "This step does nothing: it has no task and no verb"


def definitions(specs: Mapping[str, TaskSpec]) -> dict[str, Schema]:
    """`step`, and what it is made of. `specs` are the tasks by name."""
    found = {f"verb.{verb}": _verb(verb) for verb in keys.VERBS}
    chosen = [
        {"if": {"properties": {"task": {"const": name}}}, "then": tasks.by_name(spec)} for name, spec in specs.items()
    ]
    if chosen:
        found["verb.task"]["allOf"] = chosen
    found |= tasks.definitions(specs)
    found["any_step"] = _any_step(specs)
    found["step"] = _step(specs)
    return found | _parts(specs)


def _step(specs: Mapping[str, TaskSpec]) -> Schema:
    having = {each: {"type": "object", "required": [each]} for each in (*keys.VERBS, *specs) if each != "if"}
    chosen = [{"if": test, "then": ref(f"verb.{name}")} for name, test in having.items() if name in keys.VERBS]
    chosen.append({"if": _IS_IF, "then": ref("verb.if")})
    chosen += [{"if": test, "then": ref(f"step.{name}")} for name, test in having.items() if name in specs]
    chosen.append({"if": {"anyOf": [*having.values(), _IS_IF]}, "else": ref("any_step")})
    return {
        "description": "A step: one verb or task, and modifiers.",
        "if": {"const": "exit"},
        "else": {"type": "object", "allOf": chosen},
    }


def _any_step(specs: Mapping[str, TaskSpec]) -> Schema:
    """A step of which nothing is known yet."""
    verbs = {verb: of_key(own[0]) | about(verb) for verb, own in keys.VERBS.items()}
    named = {name: {**tasks.described(spec), **ref(f"task.{name}")} for name, spec in specs.items()}
    beside = tasks.modifiers()
    return {
        "properties": {**verbs, **named, **beside},
        "additionalProperties": ref("own_task"),
        "if": {"propertyNames": {"enum": [*beside, "inputs"]}},
        "then": {"const": "exit", "errorMessage": _NOTHING},
    }


def _verb(verb: str) -> Schema:
    """The keys of a verb and the modifiers of every step, and no other."""
    own = keys.VERBS[verb]
    names = {each.name for each in own}
    pages = dict(VERBS[verb].keys) if verb in VERBS else {}
    properties = {each.name: of_key(each, pages.get(each.name, "")) for each in own}
    properties[own[0].name] |= about(verb)
    beside = [*MODIFIERS, *(SERVICE if verb == "task" else ())]
    properties |= {each.name: of_key(each) for each in beside if each.name not in names}
    required = [each.name for each in own if each.required]
    return {"properties": properties, "additionalProperties": False, "required": required}


def about(verb: str) -> Schema:
    """The page of a verb, short: for completion and hover."""
    page = VERBS.get(verb)
    if page is None:
        return told(keys.VERBS[verb][0].doc)
    return told(page.summary, f"{page.summary}\n\n```yaml\n{page.example.strip()}\n```")


def _parts(specs: Mapping[str, TaskSpec]) -> dict[str, Schema]:
    """The objects and lists inside verbs and modifiers."""
    branch: Schema = {"if": {"type": "object", "required": ["do"]}, "then": closed([Key("do", "steps")])}
    case = closed(keys.CASE) | {"if": {"required": ["default"]}, "else": {"required": ["when", "do"]}}
    retry = closed(keys.RETRY) | {"type": ["object", "integer"], "minimum": 1}
    exit_ = closed(keys.EXIT) | {"type": ["object", "string", "number", "boolean", "null"]}
    wait = closed(keys.WAIT) | {"type": ["object", "string", "number"], "minProperties": 1}
    known: Schema = {
        "enum": list(specs),
        "markdownEnumDescriptions": [tasks.described(each)["markdownDescription"] for each in specs.values()],
    }
    return {
        "task": {"anyOf": [known, {"type": "string", "minLength": 1}]},
        "retry": retry,
        "cache": closed(keys.CACHE),
        "branches": {"type": "array", "items": closed(keys.BRANCH)},
        "cases": {"type": "array", "items": case},
        "branches_at_once": {"type": "array", "items": _branch_of_parallel(branch)},
        "catches": {"type": "array", "items": closed(keys.CATCH)},
        "raise": closed(keys.RAISE),
        "exit": exit_,
        "wait": wait,
    }


def _branch_of_parallel(group: Schema) -> Schema:
    """A step, or `do` with several of them; a loop has a `do`, too."""
    loops = [{"required": [verb]} for verb, own in keys.VERBS.items() if any(each.name == "do" for each in own)]
    alone: Schema = {"required": ["do"], "not": {"anyOf": loops}}
    return {"if": {"type": "object", **alone}, "then": group["then"], "else": ref("step")}
