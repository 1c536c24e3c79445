"""The model of a flow: what a flow file says, part by part, each with the place where it says so.

Everything here is frozen data. Nothing is resolved: a step names its task, a reference names its step. The
check (`flowlang.checking`) turns this model into a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from flowlang.diagnostics import Position, Span
from flowlang.document.nodes import Mapping as MappingNode
from flowlang.document.nodes import Node, Scalar
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import Type
from flowlang.records import frozen

Place = Span | Node


class Located:
    """Something that stands in the file, `at` a span or the node that knows its span: most spans are never asked for,
    and to work all of them out takes longer than to read the file."""

    __slots__ = ()
    at: Place

    @property
    def span(self) -> Span:
        return self.at if isinstance(self.at, Span) else self.at.span

    @property
    def head(self) -> Span:
        """Where it begins: of an object the first key."""
        span = self.span
        if not isinstance(self.at, MappingNode) or not self.at.entries:
            return Span(span.start, Position(span.start.line, span.start.column + 1), span.file)
        return Span(span.start, self.at.entries[0][0].span.end, span.file)

    @property
    def start(self) -> Position:
        return self.at.start if isinstance(self.at, Span) else self.at.source.position(self.at.start)


# ---------------------------------------------------------------- values


@frozen
class Name(Located):
    """A word in the file: a step id, an input's name, an output's name."""

    text: str
    at: Place

    def __str__(self) -> str:
        return self.text


@frozen
class Constant(Located):
    """A scalar without expressions: str, int, float, bool or None."""

    value: object
    at: Place
    scalar: Scalar


@frozen
class Computed(Located):
    """A scalar with `${…}` in it. `template.parts` are texts and expressions; exactly one expression and
    nothing else keeps its native type. `scalar.locate(start, end)` turns offsets into a span."""

    template: Template
    at: Place
    scalar: Scalar


@frozen
class ListValue(Located):
    items: tuple[Value, ...]
    at: Place


@frozen
class ObjectValue(Located):
    entries: tuple[tuple[Name, Value], ...]
    at: Place


Value = Constant | Computed | ListValue | ObjectValue


@frozen
class Condition(Located):
    """A whole text that is one expression (`if`, `elif`, `while`, `until`)."""

    expression: Expression
    at: Place
    scalar: Scalar


@frozen
class ConditionGroup(Located):
    """`any` / `all` / `none` of several conditions."""

    kind: Literal["any", "all", "none"]
    members: tuple[Guard, ...]
    at: Place


Guard = Condition | ConditionGroup

# ---------------------------------------------------------------- the top level


@frozen
class Input:
    """A declared input. `type` is its declared type, null included when it is optional without a default."""

    name: Name
    type: Type
    type_name: str
    required: bool
    has_default: bool
    default: object
    description: str | None
    secret: bool
    enum: tuple[object, ...] | None
    pattern: str | None
    minimum: float | None
    maximum: float | None
    min_length: int | None
    max_length: int | None
    items: Mapping[str, object] | None
    properties: Mapping[str, object] | None
    span: Span
    default_span: Span | None = None


@frozen
class Connection:
    """A named connection. `config` holds what is left for the plugin, the host's own keys taken out.

    `host_spans` has the span of each host key that was written (`lazy`, `connect_timeout`, `acquire_timeout`),
    and `host_values` its value, so that a plugin that declares such a key itself still gets it."""

    name: Name
    type: Name
    config: ObjectValue
    lazy: bool
    connect_timeout: float
    acquire_timeout: float
    host_entries: tuple[tuple[Name, Value], ...]
    span: Span


@frozen
class Retry:
    """A retry policy. Times are seconds; `on` and `unless` are error classes."""

    max_attempts: int = 3
    delay: float = 1.0
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    multiplier: float = 2.0
    max_delay: float = 60.0
    jitter: bool = True
    max_elapsed: float | None = None
    attempt_timeout: float | None = None
    on: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    span: Span | None = None


@frozen
class Defaults:
    retry: Retry | None = None
    timeout: float | None = None


@frozen
class Output:
    name: Name
    value: Value
    type: Type | None
    type_name: str | None
    description: str | None
    span: Span


# ---------------------------------------------------------------- steps


@frozen
class Cache:
    """`cache` of a reading task: what it returned for the same `key` is used again for `ttl` seconds."""

    key: Value
    ttl: float
    span: Span


@frozen
class Modifiers:
    """What every step may carry. `timeout` is seconds; `cache` is of tasks alone, the two behind it of tasks and
    transactions."""

    id: Name | None = None
    description: str | None = None
    guard: Guard | None = None
    timeout: float | None = None
    retry: Retry | None = None
    on_error: tuple[Step, ...] | None = None
    continue_on_error: bool = False
    cache: Cache | None = None
    idempotency_key: Value | None = None
    exactly_once: bool = False
    spans: Mapping[str, Span] = field(default_factory=dict)  # of each modifier's key that was written


@frozen
class TaskStep(Located):
    """One operation. `arguments` are the task's parameters; `selected` the outputs asked for, None for all."""

    task: Name
    arguments: tuple[tuple[Name, Value], ...]
    connection: Name | None
    selected: tuple[Name, ...] | None
    modifiers: Modifiers
    at: Place


@frozen
class SetStep(Located):
    values: tuple[tuple[Name, Value], ...]
    modifiers: Modifiers
    at: Place


@frozen
class IfStep(Located):
    """`branches` are (`if` and each `elif`): a guard and its steps."""

    branches: tuple[tuple[Guard, tuple[Step, ...]], ...]
    otherwise: tuple[Step, ...] | None
    modifiers: Modifiers
    at: Place


@frozen
class Case(Located):
    """`when` has one value or several; any equal one selects the case."""

    when: tuple[Value, ...]
    steps: tuple[Step, ...]
    at: Place


@frozen
class SwitchStep(Located):
    subject: Value
    cases: tuple[Case, ...]
    default: tuple[Step, ...] | None
    modifiers: Modifiers
    at: Place


@frozen
class ForEachStep(Located):
    items: Value
    variable: Name
    body: tuple[Step, ...]
    collect: Value | None
    max_concurrency: int
    batch_size: int | None
    max_failures: int
    modifiers: Modifiers
    at: Place


@frozen
class ParallelStep(Located):
    branches: tuple[tuple[Step, ...], ...]
    max_concurrency: int | None
    fail_fast: bool
    modifiers: Modifiers
    at: Place


@frozen
class RepeatStep(Located):
    """`while` (looked at before each turn) or `until` (after each). `interval` is seconds between two turns."""

    kind: Literal["while", "until"]
    condition: Guard
    body: tuple[Step, ...]
    max_iterations: int
    interval: float
    modifiers: Modifiers
    at: Place


@frozen
class TransactionStep(Located):
    """The steps of `body` that use `connection` share one handle and one transaction."""

    connection: Name
    body: tuple[Step, ...]
    modifiers: Modifiers
    at: Place


@frozen
class Catch(Located):
    """A handler of `try`: `on` are error classes (empty: all), `variable` the name its steps read the error by."""

    on: tuple[Name, ...]
    guard: Guard | None
    variable: Name | None
    steps: tuple[Step, ...]
    at: Place


@frozen
class TryStep(Located):
    body: tuple[Step, ...]
    catches: tuple[Catch, ...]
    finally_: tuple[Step, ...]
    modifiers: Modifiers
    at: Place


@frozen
class WaitStep(Located):
    """Exactly one of `duration`, `until` and `signal` is there; `timeout` (seconds) goes with `signal`."""

    duration: Value | None
    until: Value | None
    signal: Name | None
    timeout: float | None
    modifiers: Modifiers
    at: Place


@frozen
class SubflowStep(Located):
    """`flow` is a name or a path, relative to this flow's folder."""

    flow: Name
    arguments: tuple[tuple[Name, Value], ...]
    selected: tuple[Name, ...] | None
    modifiers: Modifiers
    at: Place


@frozen
class ExitStep(Located):
    """Ends the run early. `outputs` replaces the flow's outputs when it is given."""

    reason: Value | None
    status: Literal["success", "failure"]
    outputs: tuple[tuple[Name, Value], ...] | None
    modifiers: Modifiers
    at: Place


@frozen
class RaiseStep(Located):
    error_class: Name | None
    message: Value
    modifiers: Modifiers
    at: Place


@frozen
class LogStep(Located):
    message: Value
    modifiers: Modifiers
    at: Place


Step = (
    TaskStep
    | SetStep
    | IfStep
    | SwitchStep
    | ForEachStep
    | RepeatStep
    | ParallelStep
    | TransactionStep
    | TryStep
    | WaitStep
    | SubflowStep
    | ExitStep
    | RaiseStep
    | LogStep
)


_LEAVES = frozenset({TaskStep, SetStep, LogStep, WaitStep, SubflowStep, ExitStep, RaiseStep})  # no block of their own


def blocks(step: Step) -> list[tuple[str, tuple[Step, ...]]]:
    """The lists of steps inside a step, in the order of the text, each with the word its paths and readers know it
    by: `then`, `elif1`, `else`, `case1`, `default`, `do`, `branch1`, `try`, `catch1`, `finally`, `on_error`."""
    found: list[tuple[str, tuple[Step, ...]]] = []
    if type(step) in _LEAVES:
        pass
    elif isinstance(step, IfStep):
        found += [(f"elif{at}" if at else "then", steps) for at, (_, steps) in enumerate(step.branches)]
        found += [("else", step.otherwise)] if step.otherwise is not None else []
    elif isinstance(step, SwitchStep):
        found += [(f"case{number}", case.steps) for number, case in enumerate(step.cases, 1)]
        found += [("default", step.default)] if step.default is not None else []
    elif isinstance(step, ParallelStep):
        found += [(f"branch{number}", branch) for number, branch in enumerate(step.branches, 1)]
    elif isinstance(step, (ForEachStep, RepeatStep, TransactionStep)):
        found.append(("do", step.body))
    elif isinstance(step, TryStep):
        found.append(("try", step.body))
        found += [(f"catch{number}", each.steps) for number, each in enumerate(step.catches, 1)]
        found += [("finally", step.finally_)] if step.finally_ else []
    if step.modifiers.on_error is not None:
        found.append(("on_error", step.modifiers.on_error))
    return found


@frozen
class Concurrency:
    """How many runs of a flow with the same `key` may be under way at once, in one process."""

    key: Value | None
    limit: int
    on_conflict: Literal["queue", "skip", "cancel_running"]
    span: Span


@frozen
class Trigger:
    """What starts a flow by itself. `settings` are its keys; the times among them are not parsed any further."""

    kind: Literal["schedule", "every", "webhook"]
    settings: ObjectValue
    span: Span


@frozen
class Flow:
    """One flow file. `file` is its path as given (or a label for a text); `text` is what was read."""

    name: Name
    description: str | None
    version: str | None
    plugins: tuple[tuple[Name, Name], ...]
    connections: tuple[Connection, ...]
    tasks: tuple[Name, ...]
    inputs: tuple[Input, ...]
    vars: tuple[tuple[Name, Value], ...]
    defaults: Defaults
    steps: tuple[Step, ...]
    inputs_at: Span  # the key `inputs`, or the name where there is none
    outputs: tuple[Output, ...]
    timeout: float | None
    on_cancel: tuple[Step, ...]
    finally_: tuple[Step, ...]
    concurrency: Concurrency | None
    triggers: tuple[Trigger, ...]
    file: str
    text: str
    span: Span
    unread: frozenset[str] = frozenset()  # ids that stand in steps which could not be made: reading them is no finding
