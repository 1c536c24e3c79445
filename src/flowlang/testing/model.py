"""What a test file says, as data. Everything in it is checked and compiled: `Formula`s are ready to be computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowlang.diagnostics import Span
from flowlang.document.model import Name
from flowlang.records import frozen
from flowlang.testing.places import Place, Target

if TYPE_CHECKING:
    from flowlang.checking.checker import Checked
    from flowlang.testing.patterns import Pattern

Formula = Callable[[list[Any], Any], Any]
"""`(frame, reader) -> value`, see `flowlang.testing.values`."""


@frozen
class Raises:
    """The failure that a mock answers with: an error class, and what the exception says."""

    type: str
    message: str
    retryable: bool | None
    retry_after: float | None  # seconds


@frozen
class Reply:
    """One answer: after `delay` seconds, `returns` (None: no outputs) or `raises`."""

    returns: Formula | None
    raises: Raises | None
    delay: float
    span: Span


@frozen
class Mock:
    """What stands in for a step or a task. `replies`: one for every call, or (`in_turn`) one for each.

    `recorded`: its answers are those of the recording. `may_be_idle`: it is no failure that nothing calls it.
    """

    target: Target
    replies: tuple[Reply, ...]
    in_turn: bool
    recorded: bool
    may_be_idle: bool
    span: Span


@frozen
class Signal:
    """A signal that arrives `at` seconds after the run began."""

    name: str
    payload: Formula | None
    at: float


@frozen
class Called:
    """A call that is expected, `times` times in a row. `inputs` are those that matter."""

    target: Target
    inputs: tuple[tuple[Name, Pattern], ...]
    times: int
    span: Span


@frozen
class Error:
    """The failure that the run is to end with; what is None is not looked at. `detail` is a part of the text."""

    type: Name | None
    detail: Name | None
    step: Target | None
    step_at: Span
    span: Span


@frozen
class Expect:
    """What has to be so when the run is over. None: it is not looked at."""

    status: Name
    outputs: Pattern | None
    reason: Pattern | None
    error: Error | None
    calls: tuple[Called, ...] | None
    calls_in_full: bool  # these calls and no others
    calls_at: Span
    steps: tuple[tuple[Target, Name], ...]
    logs: Pattern | None
    duration: Pattern | None


@frozen
class Case:
    """One test. `real` and `recorded` name connections that are used; `strict`: nothing at all runs for real."""

    name: Name
    inputs: Mapping[str, Formula]
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    mocks: tuple[Mock, ...]
    real: frozenset[str]
    recorded: frozenset[str]
    strict: bool
    now: datetime
    seed: int
    signals: tuple[Signal, ...]
    cancel_at: float | None  # seconds
    expect: Expect


def best_mock(mocks: Sequence[Mock], path: str, task: str | None) -> Mock | None:
    """The mock that says most exactly that it means the call at `path`; of several the first."""
    fitting = [each for each in mocks if each.target.fits(path, task)]
    return max(fitting, key=lambda each: each.target.weight, default=None)


@frozen
class Suite:
    """A test file: the flow that it tests, and its tests. `secrets` are all that its tests state, for masking."""

    file: str
    checked: Checked
    places: tuple[Place, ...]
    cases: tuple[Case, ...]
    secrets: tuple[str, ...]
