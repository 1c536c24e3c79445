"""`@task`: marks a function as a task of a flow, or tells more about a plugin's task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from flowlang.records import frozen
from flowlang.tasks.spec import Effect, Twice

F = TypeVar("F", bound=Callable[..., Any])

ATTRIBUTE = "__flowlang_task__"


@frozen
class TaskOptions:
    """What the decorator was told. `stream` names the output of a task that yields batches."""

    name: str | None = None
    effect: Effect | None = None
    idempotent: bool | Twice | None = None
    stream: str = "rows"


@overload
def task(function: F, /) -> F: ...
@overload
def task(
    *,
    name: str | None = None,
    effect: Effect | None = None,
    idempotent: bool | Twice | None = None,
    stream: str = "rows",
) -> Callable[[F], F]: ...
def task(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    effect: Effect | None = None,
    idempotent: bool | Twice | None = None,
    stream: str = "rows",
) -> F | Callable[[F], F]:
    """Make a function usable as a step.

    The signature is the specification: parameters with hints and defaults are what the flow may write, the
    returned dict's keys are the step's outputs (a `TypedDict` as return type declares them). `connection` and
    `context` are injected when the function has parameters of those names.

    `name`: the name in flows, by default the function's. `effect`: "none", "read" or "write" (the default).
    `idempotent`: True when doing it twice is the same as doing it once; in a plugin also a function that tells so of
    the arguments of a step, as `TaskSpec.twice`. `stream`: for an async generator of batches, the name of its output.

        @flowlang.task(effect="none")
        def initials(name: str) -> dict[str, str]:
            return {"text": "".join(word[0] for word in name.split())}
    """
    options = TaskOptions(name=name, effect=effect, idempotent=idempotent, stream=stream)

    def mark(target: F) -> F:
        setattr(target, ATTRIBUTE, options)
        return target

    return mark if function is None else mark(function)


def options_of(function: Callable[..., Any]) -> TaskOptions:
    """What `@task` said of a function, through the wrappers of other decorators."""
    seen = 0
    target: Any = function
    while target is not None and seen < 32:
        options = getattr(target, ATTRIBUTE, None)
        if isinstance(options, TaskOptions):
            return options
        target = getattr(target, "__wrapped__", None)
        seen += 1
    return TaskOptions()
