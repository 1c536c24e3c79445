"""The plan: what the engine runs. Nothing in it is left to parse and no name is left to look up.

Names live in *frames*. A frame is a list: `frame[0]` is the frame around it, the other places hold one value
each (a step's outputs, an input, a loop variable). The check gave every name its place, so an expression is a
compiled function that indexes lists and dictionaries. A frame is made for the run, for each subflow and for
each turn of a loop; every place in it is written by one step only, which is what lets parallel branches share
the frame around them without seeing each other (see `docs/design/001-frames-and-slots.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Literal

from flowlang.diagnostics import Span
from flowlang.document.model import Retry
from flowlang.expressions.types import Type
from flowlang.records import frozen
from flowlang.tasks.spec import TaskSpec

Frame = list[Any]
Evaluator = Callable[[Frame, Any], Any]
"""`(frame, fiber) -> value`."""


@frozen
class Site:
    """Who a step is. `path` is relative to the loop turn or subflow around it; `label` is what people read."""

    path: str
    operation: str
    file: str
    line: int
    column: int
    id: str | None = None


@frozen
class Operation:
    """A task to be called: on which connection (by place in `Plan.connections`), and with which callable.

    `function` is set for file tasks and those handed to `run`, `source` is the file of a user's own task; a
    plugin's task is taken from the instance that the run opened. `shared`: it works on the handle of the transaction
    around it. `once`: its key and outputs are written in the transaction that does it, see `engine.exactly_once`.
    """

    spec: TaskSpec
    connection: int | None = None
    connection_name: str | None = None
    function: Callable[..., Any] | None = None
    source: str | None = None
    shared: bool = False
    once: bool = False


Invoker = Callable[[Any, dict[str, Any], Any], Any]
"""`(function, arguments, connection) -> awaitable`."""


def spread(function: Any, arguments: dict[str, Any], connection: Any) -> Any:
    """Call `function` with whatever `arguments` holds."""
    return function(**arguments, connection=connection)


@lru_cache(maxsize=1024)
def invoker(names: tuple[str, ...]) -> Invoker:
    """What `spread` does, for arguments of exactly these names: written out, a call costs half as much."""
    if not all(name.isidentifier() and not iskeyword(name) for name in names):
        return spread
    written = ", ".join([*(f"{name}=k[{name!r}]" for name in names), "connection=c"])
    made: Invoker = eval(f"lambda f, k, c: f({written})", {"__builtins__": {}})  # noqa: S307 - of identifiers alone
    return made


@frozen
class Call:
    """`arguments` makes the keyword arguments anew for each call. `selected` are the outputs that must come.
    `path` is that of `site`, `connection` the name of the operation's and `invoke` the way to call a task with these
    arguments, at hand for the hot path.

    `timeout`: seconds for one attempt, 0 for none. `secret_arguments` and `secret_outputs` name what events
    never show. `plain`: what the task returns is the step's outputs as it is. `rerun`: it may be done again when nobody
    knows whether it was done; see `checking.effects`.
    """

    site: Site
    operation: int
    arguments: Evaluator
    slot: int
    timeout: float = 0.0
    selected: tuple[str, ...] | None = None
    secret_arguments: frozenset[str] = frozenset()
    secret_outputs: bool = False
    connection: str | None = None
    invoke: Invoker = spread
    rerun: bool = False
    path: str = field(init=False)
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.site.path)
        object.__setattr__(self, "plain", self.selected is None and not self.secret_outputs)


@frozen
class Assign:
    """`set`: each value is computed after the one before it is visible."""

    site: Site
    values: tuple[tuple[str, Evaluator], ...]
    slot: int
    secret_names: frozenset[str] = frozenset()


@frozen
class Choose:
    """`if` / `elif` / `else`: the first condition that holds selects its steps."""

    site: Site
    branches: tuple[tuple[Evaluator, tuple[Step, ...]], ...]
    otherwise: tuple[Step, ...]


@frozen
class Switch:
    site: Site
    subject: Evaluator
    cases: tuple[tuple[tuple[Evaluator, ...], tuple[Step, ...]], ...]
    default: tuple[Step, ...]


@frozen
class Loop:
    """`for_each`. A turn gets a frame of `size` places: the frame around, the item, the index, then the body's.

    `hands_on`: each turn does nothing with its batch but hand it to a task that takes tables, and may get one.
    """

    site: Site
    items: Evaluator
    body: tuple[Step, ...]
    size: int
    slot: int
    collect: Evaluator | None = None
    batch_size: int | None = None
    max_concurrency: int = 1
    max_failures: int = 0
    hands_on: bool = False


@frozen
class Parallel:
    site: Site
    branches: tuple[tuple[Step, ...], ...]
    max_concurrency: int | None = None
    fail_fast: bool = True


@frozen
class Repeat:
    """`while` and `until`. The body runs in the frame around it: behind the loop, and while its condition is looked
    at, its places hold what the latest turn left there. `index` has a place of its own. `slots` are the places that
    the body writes; they are emptied before the first turn (see `docs/design/008-turns-of-while.md`)."""

    site: Site
    kind: Literal["while", "until"]
    condition: Evaluator
    body: tuple[Step, ...]
    max_iterations: int
    interval: float
    slot: int
    index_slot: int
    slots: tuple[int, ...] = ()


@frozen
class Transaction:
    """The operations in `body` on the connection at place `connection` share one handle and one transaction. `once`:
    some of them are done exactly once. `exactly_once`: the block is, as a whole. `kept`: the names that it leaves and
    their places. `rerun`: all of it may be done again when nobody knows whether it was committed."""

    site: Site
    connection: int
    connection_name: str
    body: tuple[Step, ...]
    once: bool = False
    kept: tuple[tuple[str, int], ...] = ()
    exactly_once: bool = False
    rerun: bool = False


@frozen
class Handler:
    """A `catch`: for failures of a class in `on` (empty: of any) for which `guard` holds."""

    on: frozenset[str]
    guard: Evaluator | None
    error_slot: int
    body: tuple[Step, ...]


@frozen
class Try:
    """`slots` are the places that the body writes; they are emptied before a handler runs."""

    site: Site
    body: tuple[Step, ...]
    handlers: tuple[Handler, ...]
    finally_: tuple[Step, ...]
    slots: tuple[int, ...] = ()


@frozen
class Wait:
    """Exactly one of `duration` (seconds or a duration), `until` (a timestamp) and `signal` is there."""

    site: Site
    duration: Evaluator | None
    until: Evaluator | None
    signal: str | None
    timeout: float | None
    slot: int


@frozen
class Subflow:
    site: Site
    plan: Plan
    arguments: Evaluator
    slot: int
    selected: tuple[str, ...] | None = None
    secret_arguments: frozenset[str] = frozenset()


@frozen
class Exit:
    site: Site
    status: Literal["success", "failure"]
    reason: Evaluator | None
    outputs: Evaluator | None
    secret_outputs: frozenset[str] = frozenset()
    secret_reason: bool = False


@frozen
class Raise:
    site: Site
    error_class: str
    message: Evaluator
    secret: bool = False


@frozen
class Log:
    site: Site
    message: Evaluator
    secret: bool = False


@frozen
class Caching:
    """`key` is a text; `ttl` seconds. `step` names the step in any run: the text of its flow, and its place there."""

    key: Evaluator
    ttl: float
    step: tuple[str, ...]


@frozen
class Modified:
    """A step with modifiers, applied from the outside in: guard, handler, timeout, retry, the step itself.

    `timeout` (seconds) covers all attempts and the waits between them. `slots` are the places that the step
    writes; they are emptied before another attempt. `cache` is of operations alone, `idempotency_key` of operations and
    transactions.
    """

    site: Site
    body: Step
    guard: Evaluator | None = None
    timeout: float | None = None
    retry: Retry | None = None
    repeatable: bool = True
    handler: tuple[Step, ...] | None = None
    error_slot: int = 0
    continue_on_error: bool = False
    slots: tuple[int, ...] = ()
    cache: Caching | None = None
    idempotency_key: Evaluator | None = None


Step = (
    Call
    | Assign
    | Choose
    | Switch
    | Loop
    | Repeat
    | Parallel
    | Transaction
    | Try
    | Wait
    | Subflow
    | Exit
    | Raise
    | Log
    | Modified
)


@frozen
class ConnectionPlan:
    """A named connection. `plugin` is the prototype that a run makes its instance from, `config` makes its values.

    `ready` is the config itself where every value is written out: checked, completed, and never changed.
    `textual` maps the paths whose text comes from a variable to that variable's name, so that it can be coerced to
    the schema's type. `spans` has the place of each path.
    """

    name: str
    type: str
    plugin: Any
    config: Evaluator
    ready: Any
    textual: Mapping[tuple[str | int, ...], str]
    lazy: bool
    connect_timeout: float
    acquire_timeout: float
    file: str
    line: int
    column: int
    spans: Mapping[tuple[str | int, ...], Span] = field(default_factory=dict)


@frozen
class InputPlan:
    """A declared input, as values are checked against it."""

    name: str
    type: Type
    type_name: str
    required: bool
    has_default: bool
    default: object
    secret: bool
    schema: Mapping[str, Any]
    span: Span


@frozen
class OutputPlan:
    name: str
    value: Evaluator
    type: Type | None
    secret: bool
    line: int
    column: int


@frozen
class Roots:
    """The places of the root names in the first frame."""

    inputs: int = 1
    vars: int = 2
    env: int = 3
    secrets: int = 4
    run: int = 5
    first_free: int = 6


ROOTS = Roots()


@frozen
class Admission:
    """How many runs with the same key (a text) may be under way at once in one process."""

    key: Evaluator | None
    limit: int
    on_conflict: Literal["queue", "skip", "cancel_running"]
    line: int
    column: int


@frozen
class Schedule:
    """Times at which a flow is to run: those of a `cron` expression in `timezone`, or one each `interval` (seconds)."""

    kind: Literal["schedule", "every"]
    cron: str | None = None
    timezone: str = "UTC"
    interval: float | None = None
    overlap: str = "skip"
    catchup: str = "none"


@frozen
class Plan:
    """A checked flow, ready to run as often as one likes. It holds no state of any run.

    `env_names` and `secret_names` are the variables and secrets that a run must have (its subflows' included), with
    the place where each is first named. `inputs_at` is the key
    `inputs`, the flow's name where there is none. `given_secrets` are the connections whose tasks are given secrets.
    """

    flow: str
    file: str
    folder: str
    inputs: tuple[InputPlan, ...]
    vars: tuple[tuple[str, Evaluator], ...]
    secret_vars: frozenset[str]
    connections: tuple[ConnectionPlan, ...]
    operations: tuple[Operation, ...]
    steps: tuple[Step, ...]
    outputs: tuple[OutputPlan, ...]
    on_cancel: tuple[Step, ...]
    finally_: tuple[Step, ...]
    size: int
    timeout: float | None
    opening_retry: Retry | None
    env_names: Mapping[str, Span]
    secret_names: Mapping[str, Span]
    inputs_at: Span
    version: str | None = None
    description: str | None = None
    concurrency: Admission | None = None
    schedules: tuple[Schedule, ...] = ()
    given_secrets: frozenset[str] = frozenset()
