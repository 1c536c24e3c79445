"""What a run came to against what its test expects: the differences, as findings at their place in the test file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowlang.diagnostics import Diagnostic, Span
from flowlang.engine.clock import Clock
from flowlang.engine.result import RunResult
from flowlang.events import Event, LogWritten, StepCancelled, StepFailed, StepSkipped, StepSucceeded
from flowlang.testing import codes
from flowlang.testing.model import Called, Expect
from flowlang.testing.patterns import Difference, Pattern, below, differences, shown
from flowlang.testing.places import Target
from flowlang.testing.stage import Made

_STATES: dict[type, str] = {
    StepSucceeded: "succeeded",
    StepFailed: "failed",
    StepSkipped: "skipped",
    StepCancelled: "cancelled",
}


def verdict(
    expect: Expect, result: RunResult, events: Sequence[Event], calls: Sequence[Made], clock: Clock
) -> Iterator[Diagnostic]:
    """Everything in which the run is not as expected. Texts are not masked yet."""
    if result.status != expect.status.text:
        yield _status(expect, result)
        return  # the rest would only repeat it
    if expect.error is not None:
        yield from _error(expect, result)
    if expect.outputs is not None:
        yield from _values(expect.outputs, result.outputs, "output", clock)
    if expect.reason is not None:
        yield from _value(expect.reason, result.reason, "the reason", clock)
    if expect.calls is not None:
        yield from _calls(expect, calls, clock)
    for target, state in expect.steps:
        yield from _state(target, state.text, state.span, events)
    if expect.logs is not None:
        logs = [each.message for each in events if isinstance(each, LogWritten)]
        yield from _value(expect.logs, logs, "the logs", clock)
    if expect.duration is not None:
        yield from _value(expect.duration, round(result.duration, 6), "the duration in seconds", clock)


def _finding(message: str, span: Span, notes: tuple[str, ...] = ()) -> Diagnostic:
    return Diagnostic(codes.EXPECTATION, message, span, notes=notes)


# ---------------------------------------------------------------- how it ended


def _status(expect: Expect, result: RunResult) -> Diagnostic:
    message = f"expected the run to end as `{expect.status.text}`, it ended as `{result.status}`"
    reason = f"reason: {result.reason}"
    notes = [f"{each.span}: {each.message}" for each in result.findings]
    return _finding(message, expect.status.span, (*notes, reason) if result.reason else tuple(notes))


def _error(expect: Expect, result: RunResult) -> Iterator[Diagnostic]:
    error, failure = expect.error, result.failure
    assert error is not None
    if failure is None:
        if result.status == "invalid":
            yield from _refusal(error.detail, result)
        else:
            yield _finding("expected an error, and there is none: the flow ended by `exit`", error.span)
        return
    if error.type is not None and failure.type != error.type.text:
        message = f"expected an error of class `{error.type.text}`, got `{failure.type}`"
        yield _finding(message, error.type.span, (f"it says: {failure.detail}",))
    if error.detail is not None and error.detail.text not in failure.detail:
        yield _finding(
            f"expected {shown(error.detail.text)} in the error, it says {shown(failure.detail)}", error.detail.span
        )
    if error.step is not None and not _holds(error.step, failure.step or ""):
        yield _finding(f"expected step `{error.step.text}` to fail, it was `{failure.step}`", error.step_at)


def _holds(target: Target, path: str) -> bool:
    """Whether a target means the step at `path`, or one around it."""
    parts = path.split(".")
    return any(target.fits(".".join(parts[:size]), None) for size in range(len(parts), 0, -1))


def _refusal(detail: Any, result: RunResult) -> Iterator[Diagnostic]:
    texts = [each.message for each in result.findings]
    if detail is not None and not any(detail.text in each for each in texts):
        message = f"expected {shown(detail.text)} in a reason for the refusal"
        yield _finding(message, detail.span, tuple(f"it was refused: {each}" for each in texts))


# ---------------------------------------------------------------- values


def _value(pattern: Pattern, value: Any, what: str, clock: Clock) -> Iterator[Diagnostic]:
    for each in differences(pattern, value, clock):
        place = f"{what}, at `{each.path}`" if each.path else what
        yield _finding(f"{place}: {each.message}", each.span)


def _values(pattern: Pattern, values: Mapping[str, Any], what: str, clock: Clock) -> Iterator[Diagnostic]:
    """The same for named values."""
    for each in differences(pattern, values, clock):
        yield _finding(f"{what} `{each.path}`: {each.message}" if each.path else f"{what}s: {each.message}", each.span)


# ---------------------------------------------------------------- calls


def _calls(expect: Expect, calls: Sequence[Made], clock: Clock) -> Iterator[Diagnostic]:
    """The calls in their order: all of them, or (`$contains`) these with others between."""
    assert expect.calls is not None
    wanted = [each for each in expect.calls for _ in range(each.times)]
    notes = (f"the calls were: {_told(calls)}",)
    if not expect.calls_in_full:
        yield from _within(wanted, calls, clock, notes)
        return
    for each, call in zip(wanted, calls):
        if not each.target.fits(call.path, call.task):
            yield _finding(f"expected a call of `{each.target.text}` here, got `{call.path}`", each.span, notes)
            return
        yield from _inputs(each, call, clock)
    if len(calls) > len(wanted):
        extra = calls[len(wanted)]
        message = f"`{extra.path}` ({extra.task}) was called beyond the calls that are expected"
        yield _finding(message, wanted[-1].span if wanted else expect.calls_at, notes)
    elif len(calls) < len(wanted):
        missing = wanted[len(calls)]
        yield _finding(f"`{missing.target.text}` was not called, or not as often as expected", missing.span, notes)


def _within(
    wanted: Sequence[Called], calls: Sequence[Made], clock: Clock, notes: tuple[str, ...]
) -> Iterator[Diagnostic]:
    left = list(calls)
    for each in wanted:
        fitting = [at for at, call in enumerate(left) if each.target.fits(call.path, call.task)]
        exact = [at for at in fitting if not list(_inputs(each, left[at], clock))]
        if exact:
            del left[: exact[0] + 1]
        elif fitting:
            yield from _inputs(each, left[fitting[0]], clock)
            del left[: fitting[0] + 1]
        else:
            yield _finding(f"`{each.target.text}` was not called, or not in this order", each.span, notes)


def _inputs(wanted: Called, call: Made, clock: Clock) -> Iterator[Diagnostic]:
    for name, pattern in wanted.inputs:
        if name.text not in call.inputs:
            message = f"call `{call.path}`: it was given no `{name.text}`"
            given = ", ".join(f"`{each}`" for each in call.inputs) or "nothing"
            yield _finding(message, name.span, (f"it was given {given}",))
            continue
        tainted = call.shown[name.text] is not call.inputs[name.text]
        for each in differences(pattern, call.inputs[name.text], clock):
            yield _finding(_input_text(call, below(name.text, each.path), each, tainted=tainted), each.span)


def _input_text(call: Made, path: str, difference: Difference, *, tainted: bool) -> str:
    text = "it is not as expected, and secret" if tainted else difference.message
    return f"call `{call.path}`, input `{path}`: {text}"


def _told(calls: Sequence[Made], most: int = 12) -> str:
    paths = [each.path for each in calls]
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return (", ".join(f"`{each}`" for each in paths[:most]) + more) or "none"


# ---------------------------------------------------------------- steps


def _state(target: Target, wanted: str, span: Span, events: Sequence[Event]) -> Iterator[Diagnostic]:
    """How a step ended, in every turn of a loop that the target means."""
    found = {
        each.path: _STATES[type(each)]  # type: ignore[union-attr]
        for each in events
        if type(each) in _STATES and target.fits(each.path, None)  # type: ignore[union-attr]
    }
    if not found:
        if wanted != "not_run":
            yield _finding(f"expected step `{target.text}` to be `{wanted}`, it did not run", span)
        return
    for path, state in found.items():
        if state != wanted:
            yield _finding(f"expected step `{target.text}` to be `{wanted}`, `{path}` was `{state}`", span)
            return
