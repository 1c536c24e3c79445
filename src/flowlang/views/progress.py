"""The progress of a run: a state machine fed with events, and its drawings as lines of text.

    live = Live()
    for event in …:
        for line in live.feed(event): …      # finished things, for logs
    live.lines(now)                          # what is under way, for a terminal
    live.tree()                              # how long everything took, at the end

Memory is bounded by the flow, not by the run: the turns of a loop share one entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flowlang import events
from flowlang.diagnostics import visible
from flowlang.events import Event
from flowlang.views.places import ASCII, MARKS, STYLES, Place, around, place_of, tree
from flowlang.views.text import Paint, cut, many, plain, seconds

TOLD = 20  # lines that one step may print; the turns of a loop beyond them are only counted
SHOWN = 20  # live lines


class Step:
    """A step under way. `resumes_at` is set while it waits for its next attempt; `done` counts items or rows."""

    __slots__ = (
        "attempt",
        "attempts",
        "connection",
        "done",
        "has_inner",
        "note",
        "taken_over",
        "operation",
        "path",
        "resumes_at",
        "signal",
        "since",
        "total",
    )

    def __init__(self, path: str, operation: str, connection: str | None, since: float) -> None:
        self.path = path
        self.operation = operation
        self.connection = connection
        self.since = since
        self.attempt = self.attempts = 1
        self.resumes_at: float | None = None
        self.signal: str | None = None
        self.done: int | None = None
        self.total: int | None = None
        self.has_inner = False
        self.note = ""  # what is said of it at its end
        self.taken_over = False


class Live:
    """What is known of a run from its events so far."""

    def __init__(self, paint: Paint = plain, *, unicode: bool = True, told: int | None = TOLD) -> None:
        """`told`: lines that one step may print, None for any number."""
        self.paint = paint
        self.most = told
        self.flow = ""
        self.began = 0.0
        self.running: dict[str, Step] = {}
        self.places: dict[str, Place] = {}
        self.duration: float | None = None
        self._marks = MARKS if unicode else ASCII

    # ------------------------------------------------------------ folding

    def feed(self, event: Event) -> list[str]:
        """Take one event; return the lines that it is worth in a log."""
        folded = self._FOLDS.get(type(event))
        return folded(self, event) if folded is not None else []

    def _run_started(self, event: events.RunStarted) -> list[str]:
        self.flow, self.began = event.flow, event.at
        return []

    def _queued(self, event: events.RunQueued) -> list[str]:
        return [self._line("retry", event.flow, f"waits for {many(event.ahead, 'run')} with the same key")]

    def _run_finished(self, event: events.RunFinished) -> list[str]:
        self.running.clear()
        self.duration = event.duration
        return []

    def _started(self, event: events.StepStarted) -> list[str]:
        self._place(event.path, event.operation)
        self.running[event.path] = Step(event.path, event.operation, event.connection, event.at)
        parent = next((self.running[each] for each in around(event.path) if each in self.running), None)
        if parent is not None:
            parent.has_inner = True
        return []

    def _retrying(self, event: events.AttemptFailed) -> list[str]:
        step = self.running.get(event.path)
        if step is not None:
            step.attempt, step.attempts = event.attempt + 1, event.max_attempts
            step.resumes_at = event.at + event.delay
        self._place(event.path, step.operation if step else "").retries += 1
        failure = event.failure
        told = f"attempt {event.attempt} of {event.max_attempts} failed ({failure.type}: {_first_line(failure.detail)})"
        return [self._line("retry", event.path, f"{told}; the next in {seconds(event.delay)}")]

    def _waiting(self, event: events.StepWaiting) -> list[str]:
        step = self.running.get(event.path)
        if step is not None:
            step.resumes_at, step.signal = event.until, event.signal
        told = f"waits for signal `{event.signal}`" if event.signal is not None else "waits"
        if event.until is not None:
            told += f"{', at most' if event.signal is not None else ''} {seconds(event.until - event.at)}"
        return [self._line("wait", event.path, told)]

    def _succeeded(self, event: events.StepSucceeded) -> list[str]:
        step = self.running.get(event.path)
        place = self._ended(event.path, event.duration)
        if place.operation == "log":
            return []  # its message has been shown
        extra = f"  attempt {event.attempts}" if event.attempts > 1 else "  from the cache" if event.cached else ""
        if step is not None and step.taken_over:
            return self._told(place, "done", event.path, f"{place.operation}  taken over")
        extra += step.note if step is not None else ""
        return self._told(place, "done", event.path, f"{place.operation}  {seconds(event.duration)}{extra}")

    def _failed(self, event: events.StepFailed) -> list[str]:
        place = self._ended(event.path, event.duration)
        place.failed += 1
        failure = event.failure
        if failure.step is not None and failure.step != event.path:
            return self._told(place, "failed", event.path, f"{place.operation}  {seconds(event.duration)}")
        told = f"{place.operation}  {seconds(event.duration)}  {failure.type}: {_first_line(failure.detail)}"
        return self._told(place, "failed", event.path, told)

    def _skipped(self, event: events.StepSkipped) -> list[str]:
        place = self._place(event.path, event.operation)
        place.skipped += 1
        return self._told(place, "skipped", event.path, event.operation)

    def _reused(self, event: events.StepReused) -> list[str]:
        step = self.running.get(event.path)
        if step is not None:
            step.taken_over = event.again is None
            step.note = f"  done again: {event.again}" if event.again is not None else ""
        return []

    def _cancelled(self, event: events.StepCancelled) -> list[str]:
        place = self._ended(event.path, event.duration)
        if event.left:  # how it goes on is told at the end
            place.left += 1
            return []
        place.cancelled += 1
        return self._told(place, "cancelled", event.path, f"{place.operation}  {seconds(event.duration)}")

    def _progress(self, event: events.Progress) -> list[str]:
        step = self.running.get(event.path)
        if step is not None:
            step.done, step.total = event.done, event.total
        self._place(event.path, step.operation if step else "").done = event.done
        return []

    def _logged(self, event: events.LogWritten) -> list[str]:
        return [f"{self.paint(self._marks['log'], 'hint')} {visible(line)}" for line in event.message.splitlines()]

    def _closed(self, event: events.ConnectionClosed) -> list[str]:
        return [self._line("warning", event.connection, f"closing it failed: {event.problem}")] if event.problem else []

    def _place(self, path: str, operation: str) -> Place:
        key = place_of(path)
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = Place(key, operation)
        return place

    def _ended(self, path: str, duration: float) -> Place:
        step = self.running.pop(path, None)
        place = self._place(path, step.operation if step is not None else "")
        place.count += 1
        place.duration += duration
        return place

    # ------------------------------------------------------------ lines of a log

    def _told(self, place: Place, mark: str, path: str, text: str) -> list[str]:
        place.told += 1
        beyond = place.told - self.most if self.most is not None and mark != "failed" else 0
        if beyond > 1:
            return []
        if beyond == 1:
            return [self._line("more", place.key, "its further turns are not shown one by one")]
        return [self._line(mark, path, text)]

    def _line(self, mark: str, path: str, text: str) -> str:
        return f"{self.paint(self._marks[mark], STYLES[mark])} {visible(path)}  {visible(text)}"

    # ------------------------------------------------------------ drawings

    def lines(self, now: float) -> list[str]:
        """One line for each step under way (the innermost ones), `now` in seconds since the epoch."""
        steps = [each for each in self.running.values() if not each.has_inner or each.done is not None]
        lines = [self._live_line(each, now) for each in steps[:SHOWN]]
        if len(steps) > SHOWN:
            lines.append(self.paint(f"  … and {many(len(steps) - SHOWN, 'more step')} under way", "dim"))
        head = f"{self.paint(visible(self.flow), 'bold')}  {seconds_running(now - self.began)}" if self.began else ""
        return [head, *lines] if head else lines

    def _live_line(self, step: Step, now: float) -> str:
        facts = [step.operation, seconds_running(now - step.since)]
        if step.done is not None:
            facts.append(f"{step.done:,} of {step.total:,}" if step.total is not None else f"{step.done:,} rows")
        if step.attempts > 1:
            facts.append(f"attempt {step.attempt} of {step.attempts}")
        if step.signal is not None:
            facts.append(f"signal {step.signal}")
        if step.resumes_at is not None:
            left = step.resumes_at - now
            if left > 0:
                facts.append(f"in {seconds_running(left)}")
            else:
                step.resumes_at = None
        return f"  {self.paint(self._marks['live'], 'hint')} {visible(cut(step.path, 60))}  {visible('  '.join(facts))}"

    def tree(self) -> list[str]:
        """The steps as a tree with their durations; the turns of a loop share a line."""
        return tree(self.places, self.paint, self._marks)

    _FOLDS: ClassVar[dict[type, Callable[[Live, Any], list[str]]]] = {
        events.RunStarted: _run_started,
        events.RunQueued: _queued,
        events.RunFinished: _run_finished,
        events.StepStarted: _started,
        events.AttemptFailed: _retrying,
        events.StepWaiting: _waiting,
        events.StepSucceeded: _succeeded,
        events.StepFailed: _failed,
        events.StepSkipped: _skipped,
        events.StepReused: _reused,
        events.StepCancelled: _cancelled,
        events.Progress: _progress,
        events.LogWritten: _logged,
        events.ConnectionClosed: _closed,
    }


def is_message(event: Event) -> bool:
    """Whether its lines say something that no picture of the steps shows."""
    return isinstance(event, (events.LogWritten, events.AttemptFailed, events.ConnectionClosed))


def seconds_running(value: float) -> str:
    """A duration that grows on the screen: tenths below a minute."""
    return f"{max(value, 0.0):.1f} s" if value < 60 else seconds(value)


def _first_line(text: str) -> str:
    return cut(next(iter(text.strip().splitlines()), ""), 160)


__all__ = ["Event", "Live", "Place", "Step", "is_message", "seconds_running"]
