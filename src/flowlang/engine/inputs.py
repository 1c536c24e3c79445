"""Values for a flow's declared inputs: all problems reported together, nothing coerced that the type forbids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.diagnostics import Diagnostic, code, nearest
from flowlang.expressions.runtime import ExpressionError
from flowlang.plan import InputPlan, Plan

INVALID_INPUT = code(
    "invalid-input",
    """A value given to a run does not fit the input that the flow declares.

Inputs are checked before anything runs, and all problems are told together: a required input that is missing, a
value of another type, one outside `minimum`/`maximum`, `min_length`/`max_length`, `enum` or `pattern`.

Values that come as JSON are not coerced: `"5"` is not an integer. Timestamps and durations are written as text in
JSON and are parsed. On the command line (`-i name=value`) the text is parsed by the declared type.
""",
)
UNKNOWN_INPUT = code(
    "unknown-input",
    """A value was given for an input that the flow does not declare.

The names are closed, so that a typo cannot silently leave an input at its default.
""",
)

_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list, tuple),
}


def accept(
    plan: Plan, given: Mapping[str, Any], missing: list[str] | None = None
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The value of every input that `plan` declares, and what is wrong with those given. Required ones that were not
    given are wrong, too, or only listed in `missing`."""
    values: dict[str, Any] = {}
    findings = list(_unknown(plan, given))
    for each in plan.inputs:
        if each.name in given:
            value, problems = _checked(each, given[each.name])
            values[each.name] = value
            findings.extend(_finding(each, problem) for problem in problems)
        elif each.has_default:
            timed = each.type_name in ("timestamp", "duration") and each.default is not None
            values[each.name] = _time_value(each, each.default)[0] if timed else _copied(each.default)
        elif each.required and missing is not None:
            missing.append(each.name)
        elif each.required:
            problem = f"input `{each.name}` ({each.type_name}, required) is missing"
            findings.append(_finding(each, problem))
        else:
            values[each.name] = None
    return values, findings


def _unknown(plan: Plan, given: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """The names that the flow does not declare, each where it declares the one that was meant, or any."""
    declared = {each.name: each for each in plan.inputs}
    note = f"declared inputs: {', '.join(f'`{each}`' for each in declared)}" if declared else "it declares none"
    for name in given:
        if name not in declared:
            close = nearest(str(name), declared)
            yield Diagnostic(
                UNKNOWN_INPUT,
                f"the flow has no input `{name}`",
                declared[close].span if close is not None else plan.inputs_at,
                notes=(note,),
                suggestion=f"did you mean `{close}`?" if close else None,
            )


def parse_text(each: InputPlan, text: str) -> Any:
    """The value that `text` (from a command line) means for this input; ValueError says what was expected."""
    import json

    if each.type_name == "string":
        return text
    if each.type_name == "timestamp":
        return text
    if each.type_name == "duration":
        return float(text) if text.replace(".", "", 1).isdigit() else text
    if each.type_name == "boolean":
        known = {"true": True, "false": False}
        if text.lower() not in known:
            raise ValueError("expected true or false")
        return known[text.lower()]
    if each.type_name == "integer":
        try:
            return int(text)
        except ValueError:
            raise ValueError("expected a whole number") from None
    if each.type_name == "number":
        try:
            return int(text) if text.lstrip("+-").isdigit() else float(text)
        except ValueError:
            raise ValueError("expected a number") from None
    try:
        return json.loads(text)
    except ValueError as error:
        if each.type_name == "any":
            return text
        raise ValueError(f"expected JSON for {each.type_name}: {error}") from None


def _checked(each: InputPlan, value: Any) -> tuple[Any, list[str]]:
    if value is None:
        if each.required or not each.type.nullable and each.type.kind != "any":
            return None, [f"input `{each.name}` expects {each.type_name}, not null"]
        return None, []
    if each.type_name in ("timestamp", "duration"):
        return _time_value(each, value)
    problem = _wrong_type(each, value)
    if problem is not None:
        return value, [problem]
    return value, _schema_problems(each, value)


def _wrong_type(each: InputPlan, value: Any) -> str | None:
    wanted = _PYTHON.get(each.type_name)
    if wanted is None:
        return None
    good = isinstance(value, wanted) and (each.type_name == "boolean" or not isinstance(value, bool))
    if good:
        return None
    from flowlang.document.unfit import brief

    shown = "" if each.secret else f" {brief(value)}"
    return f"input `{each.name}` expects {each.type_name}, got {_kind(value)}{shown}"


def _time_value(each: InputPlan, value: Any) -> tuple[Any, list[str]]:
    from datetime import datetime, timedelta

    from flowlang.expressions import FUNCTIONS

    if each.type_name == "timestamp" and isinstance(value, datetime):
        return value, []
    if each.type_name == "duration" and isinstance(value, timedelta):
        return value, []
    name = "parse_time" if each.type_name == "timestamp" else "duration"
    reader = FUNCTIONS[name].call
    if each.type_name == "duration" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return timedelta(seconds=value), []
    if isinstance(value, str):
        try:
            return reader(value), []
        except ExpressionError as error:
            reason = str(error).removeprefix(f"`{name}`: ")
            return value, [f"input `{each.name}` expects {each.type_name}: {reason}"]
    return value, [f"input `{each.name}` expects {each.type_name}, got {_kind(value)}"]


def _schema_problems(each: InputPlan, value: Any) -> list[str]:
    if not each.schema:
        return []
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(
        dict(each.schema), offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )
    from flowlang.document.unfit import place_in, unfit

    problems = []
    for error in validator.iter_errors(value):
        said = "is not as declared" if each.secret else unfit(error)
        problems.append(f"input `{place_in(each.name, error.instance_path)}` {said}")
    return problems


def _finding(each: InputPlan, message: str) -> Diagnostic:
    suggestion = None if "missing" not in message else f"give it: -i {each.name}=…"
    return Diagnostic(INVALID_INPUT, message, each.span, suggestion=suggestion)


def _kind(value: Any) -> str:
    from flowlang.expressions.types import type_of

    return type_of(value).kind


def _copied(value: Any) -> Any:
    from copy import deepcopy

    return deepcopy(value) if isinstance(value, (dict, list)) else value
