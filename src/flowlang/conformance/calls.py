"""What the kit calls: single calls of tasks, and how an author may say more than the example flow does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flowlang.exceptions import ERROR_CLASSES
from flowlang.records import frozen
from flowlang.tasks.values import Sql


class _Value:
    def __repr__(self) -> str:
        return "VALUE"


VALUE: Any = _Value()
"""Stands in a call for a value that the kit chooses."""


@frozen
class Call:
    """One call of a task."""

    task: str
    arguments: Mapping[str, Any]

    def with_value(self, value: object) -> Call:
        """The call with `value` wherever `VALUE` stands."""
        return Call(self.task, _replaced(self.arguments, value))


def call(task: str, /, **arguments: Any) -> Call:
    """A call of `task` with `arguments`."""
    return Call(task, MappingProxyType(arguments))


def _replaced(there: Any, value: object) -> Any:
    if there is VALUE:
        return value
    if isinstance(there, Mapping):
        return {key: _replaced(each, value) for key, each in there.items()}
    return [_replaced(each, value) for each in there] if isinstance(there, list) else there


_NO_FAILURES: Mapping[str, Call] = MappingProxyType({})


@frozen
class Operations:
    """Calls that unlock checks which no kit can make up. All are optional.

    `prepare` are made first, once for each check, and must bear being made again. Without `read` and `write` the
    calls of the example flow are taken.
    """

    prepare: tuple[Call, ...] = ()
    read: Call | None = None
    write: Call | None = None
    state: Call | None = None
    """Reads all that `write` and `repeat` change."""
    repeat: Call | None = None
    """A call of a task that declares itself idempotent and changes something."""
    slow: Call | None = None
    """Takes two seconds or more at the service, unless it is cancelled there."""
    running: Call | None = None
    """Gives how many `slow` calls are running at the service, as a number under `n` or `count` in its outputs."""
    stream: Call | None = None
    """Streams what `fill` put there, in batches of at most 1,000."""
    fill: Callable[[int], Call] | None = None
    """The call that puts this many items there, in place of those that were there."""
    put: Call | None = None
    """Keeps the text `VALUE`."""
    get: Call | None = None
    """Gives back what `put` kept."""
    dirty: Call | None = None
    """Leaves something behind in the session of its handle."""
    session: Call | None = None
    """Shows the session of its handle, as it is after opening when nobody left anything."""
    bad_batch: Call | None = None
    """A call with several items of which one is refused."""
    bad_item: str = ""
    """What the message about `bad_batch` must hold: the place or the key of the item."""
    fails: Mapping[str, Call] = _NO_FAILURES
    """Error class → a call that fails with it."""

    def __post_init__(self) -> None:
        unknown = self.fails.keys() - ERROR_CLASSES.keys()
        if unknown:
            raise ValueError(f"no error class {min(unknown)!r}; there are: {', '.join(ERROR_CLASSES)}")


# ---------------------------------------------------------------- as steps of a flow


class Steps:
    """Calls as the steps of a flow. What YAML cannot hold stands in `inputs`."""

    def __init__(self, connection: str) -> None:
        self.inputs: dict[str, Any] = {}
        self.lines: list[str] = []
        self._connection = connection

    def add(self, made: Call, **modifiers: Any) -> str:
        """Append the call as a step with `modifiers` (retry, timeout); gives the step's id."""
        name = f"s{len(self.lines)}"
        arguments = {key: self.literal(value) for key, value in made.arguments.items()}
        step = {made.task: {"id": name, "connection": self._connection, **arguments, **modifiers}}
        self.lines.append("  - " + json.dumps(step, ensure_ascii=False))
        return name

    def literal(self, value: Any) -> Any:
        """`value` as a flow has to write it so that it arrives as it is."""
        if isinstance(value, str):
            return value.replace("${", "$${")
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {key: self.literal(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.literal(each) for each in value]
        if isinstance(value, Sql):
            parts = [self.literal(value.texts[0])]
            for text, each in zip(value.texts[1:], value.values):
                parts += [self._input(each), self.literal(text)]
            return "".join(parts)
        return self._input(value)

    def _input(self, value: object) -> str:
        name = f"v{len(self.inputs)}"
        self.inputs[name] = value
        return f"${{inputs.{name}}}"
