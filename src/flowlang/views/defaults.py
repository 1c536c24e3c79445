"""A flow with every default made visible."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowlang.diagnostics import visible
from flowlang.document import model
from flowlang.views.tasks import literal
from flowlang.views.text import Paint, plain, table

_USER = re.compile(r"://[^/\s@]*@")  # user and password in a URL


def flow_text(flow: model.Flow, settings: Mapping[str, Sequence[Mapping[str, Any]]], paint: Paint = plain) -> str:
    """The flow's parts in order. `settings` has the config fields of each connection type it uses."""
    lines = [f"{paint('flow', 'bold')} {visible(flow.name.text)}", f"  timeout: {_limit(flow.timeout)}"]
    if flow.concurrency is not None:
        lines.append(f"  concurrency: {_concurrency(flow.concurrency)}")
    lines += [f"  trigger: {_trigger(each)}" for each in flow.triggers]
    if flow.inputs:
        lines += ["", paint("inputs", "bold"), *_inputs(flow)]
    for each in flow.connections:
        title = f"{paint('connection', 'bold')} {visible(each.name.text)} ({visible(each.type.text)})"
        lines += ["", title, *_connection(each, settings.get(each.type.text, ()))]
    lines += ["", paint("steps", "bold"), *table(_steps(flow.steps, flow.defaults, 1))]
    for name, steps in (("on_cancel", flow.on_cancel), ("finally", flow.finally_)):
        if steps:
            lines += ["", paint(name, "bold"), *table(_steps(steps, flow.defaults, 1))]
    if flow.outputs:
        rows = [(each.name.text, each.type_name or "any") for each in flow.outputs]
        lines += ["", paint("outputs", "bold"), *table(rows, indent="  ")]
    return "\n".join(lines)


def _limit(timeout: float | None) -> str:
    return "none" if timeout is None else f"{timeout:g}s"


def _concurrency(each: model.Concurrency) -> str:
    key = "all runs" if each.key is None else f"each key {_written(each.key)}"
    return f"limit {each.limit} for {key}, on_conflict {each.on_conflict}"


_OF_TRIGGERS = {
    "schedule": {"timezone": "UTC", "overlap": "skip", "catchup": "none"},
    "every": {},
    "webhook": {"respond": "accepted"},
}


def _trigger(each: model.Trigger) -> str:
    written = {name.text: _written(value) for name, value in each.settings.entries if name.text != "auth"}
    settings = {**written, **{key: value for key, value in _OF_TRIGGERS[each.kind].items() if key not in written}}
    return f"{each.kind} " + ", ".join(f"{key} {visible(value)}" for key, value in settings.items())


def _inputs(flow: model.Flow) -> list[str]:
    rows = []
    for each in flow.inputs:
        state = "required" if each.required else f"default {literal(each.default if each.has_default else None)}"
        if each.secret and each.has_default:
            state = "default ***"
        rows.append((each.name.text, each.type_name, state, "secret" if each.secret else ""))
    return table(rows, indent="  ")


def _connection(each: model.Connection, fields: Sequence[Mapping[str, Any]]) -> list[str]:
    written = {name.text: value for name, value in each.config.entries}
    rows: list[tuple[str, str, str]] = []
    for field in fields:
        key = field["key"]
        if key in written:
            rows.append((key, "***" if field["secret"] else _written(written[key]), ""))
        elif "default" in field:
            rows.append((key, literal(field["default"]), "default"))
    known = {field["key"] for field in fields}
    rows += [(key, _written(value), "") for key, value in written.items() if key not in known]
    stated = {name.text for name, _ in each.host_entries}
    for key, value in (
        ("lazy", literal(each.lazy)),
        ("connect_timeout", f"{each.connect_timeout:g}s"),
        ("acquire_timeout", f"{each.acquire_timeout:g}s"),
    ):
        rows.append((key, value, "" if key in stated else "default"))
    return table(rows, indent="  ")


def _written(value: model.Value) -> str:
    if isinstance(value, model.Constant):
        return _USER.sub("://***@", literal(value.value))
    if isinstance(value, model.Computed):
        return value.scalar.text
    return "[…]" if isinstance(value, model.ListValue) else "{…}"


def _steps(steps: Sequence[model.Step], defaults: model.Defaults, depth: int) -> Iterator[tuple[str, str, str]]:
    """A row for each step: its id, what it does, its modifiers with their defaults."""
    for step in steps:
        modifiers = step.modifiers
        name = modifiers.id.text if modifiers.id is not None else "-"
        yield ("  " * depth + name, _operation(step), _modifiers(step, modifiers, defaults))
        for word, inner in model.blocks(step):
            named = word.startswith("catch") or word in ("finally", "on_error")
            if named and inner:
                yield ("  " * (depth + 1) + f"{word}:", "", "")
            yield from _steps(inner, defaults, depth + 1 + named)


def _operation(step: model.Step) -> str:
    if isinstance(step, model.TaskStep):
        return step.task.text + (f" on {step.connection.text}" if step.connection is not None else "")
    if isinstance(step, model.ForEachStep):
        limits = f"max_concurrency {step.max_concurrency}, max_failures {step.max_failures}"
        return f"for_each as {step.variable.text}, {limits}"
    if isinstance(step, model.ParallelStep):
        limit = "all" if step.max_concurrency is None else step.max_concurrency
        return f"parallel, max_concurrency {limit}, fail_fast {literal(step.fail_fast)}"
    if isinstance(step, model.RepeatStep):
        return f"{step.kind}, max_iterations {step.max_iterations}, interval {step.interval:g}s"
    if isinstance(step, model.WaitStep) and step.signal is not None:
        return f"wait for signal {step.signal.text}, timeout {_limit(step.timeout)}"
    if isinstance(step, model.SubflowStep):
        return f"subflow {step.flow.text}"
    if isinstance(step, model.TransactionStep):
        return f"transaction on {step.connection.text}"
    return type(step).__name__.removesuffix("Step").lower()


def _modifiers(step: model.Step, own: model.Modifiers, defaults: model.Defaults) -> str:
    """Limits and retries, with where they come from."""
    service = isinstance(step, model.TaskStep)
    timeout, retry = own.timeout, own.retry
    source = ""
    if service and timeout is None and defaults.timeout is not None:
        timeout, source = defaults.timeout, " (defaults)"
    told = [f"timeout {_limit(timeout)}{source}"] if service or timeout is not None else []
    source = ""
    if service and retry is None and defaults.retry is not None:
        retry, source = defaults.retry, " (defaults)"
    if retry is not None:
        told.append(f"retry {_retry(retry)}{source}")
    elif service:
        told.append("retry none")
    if own.cache is not None:
        told.append(f"cache {_limit(own.cache.ttl)}")
    if own.idempotency_key is not None:
        told.append(f"idempotency_key {_written(own.idempotency_key)}")
    if own.guard is not None:
        told.append("conditional")
    if own.continue_on_error:
        told.append("continue_on_error")
    return ", ".join(told)


def _retry(retry: model.Retry) -> str:
    parts = [f"max_attempts {retry.max_attempts}", f"delay {retry.delay:g}s", f"backoff {retry.backoff}"]
    parts += [f"multiplier {retry.multiplier:g}"] if retry.backoff == "exponential" else []
    parts += [f"max_delay {retry.max_delay:g}s", f"jitter {literal(retry.jitter)}"]
    parts += [f"max_elapsed {_limit(retry.max_elapsed)}", f"attempt_timeout {_limit(retry.attempt_timeout)}"]
    parts += [
        f"{name} {'/'.join(classes)}" for name, classes in (("on", retry.on), ("unless", retry.unless)) if classes
    ]
    return "{" + ", ".join(parts) + "}"
