"""The tape of one test: plays back what was recorded, or records what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowlang.engine.failures import OperationError, words
from flowlang.exceptions import FlowExecutionError
from flowlang.masking import MASK, WITHHELD, Masker
from flowlang.tasks.stream import Batch, Stream
from flowlang.tasks.tagged import Untaggable, tagged, untagged
from flowlang.testing.patterns import shown
from flowlang.testing.recording import Recorded, in_order


@dataclass(slots=True)
class _Entry:
    """A call while it is recorded: the rows of its streams come later."""

    step: str
    attempt: int
    task: str
    inputs: Any
    outputs: Any = None
    error: Mapping[str, Any] | None = None


class Tape:
    """`recorded` are the calls of an earlier recording, None when there is none. `recording`: make a new one."""

    def __init__(self, recorded: Sequence[Recorded] | None, *, recording: bool) -> None:
        self.recording = recording
        self._recorded = None if recorded is None else {(each.step, each.attempt): each for each in recorded}
        self._attempts: dict[str, int] = {}
        self._entries: list[_Entry] = []
        self.problems: list[str] = []

    def _attempt(self, step: str) -> int:
        count = self._attempts[step] = self._attempts.get(step, 0) + 1
        return count

    # ------------------------------------------------------------ playing back

    def replay(self, step: str, task: str, inputs: Mapping[str, Any]) -> tuple[Callable[[], Any] | None, str]:
        """What gives (or raises) the recorded reply; None, and why, when this call was not recorded like this."""
        attempt = self._attempt(step)
        found = (self._recorded or {}).get((step, attempt))
        if found is None:
            if self._recorded is None:
                return None, f"step `{step}` is to be replayed, and nothing was recorded for this test"
            time = "" if attempt == 1 else f", call {attempt},"
            return None, f"step `{step}`{time} ({task}) was not called when this test was recorded"
        if found.task != task:
            return None, f"step `{step}` calls `{task}`, and `{found.task}` was recorded"
        changed = _changed(found.inputs, _written(inputs))
        if changed:
            return None, f"step `{step}` calls `{task}` with other arguments than were recorded: {'; '.join(changed)}"
        return lambda: _reply(found), ""

    # ------------------------------------------------------------ recording

    def record(
        self, step: str, task: str, inputs: Mapping[str, Any], given: Any, masker: Masker, *, secret: bool
    ) -> None:
        """Note a call and what it gave; `secret` says that all of that is."""
        entry = self._entry(step, task, inputs)
        outputs: dict[str, Any] = {}
        entry.outputs = outputs
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, Stream):
                rows: list[Any] = []
                outputs[name] = {"$stream": rows}
                value.through(lambda source, rows=rows: self._copied(source, rows, step, masker))  # type: ignore[misc]
            else:
                outputs[name] = MASK if secret else self._kept(masker.value(value), step, name)

    def failed(self, step: str, task: str, inputs: Mapping[str, Any], error: Exception, masker: Masker | None) -> None:
        """Note a call that failed, by what the engine made of its error; without a masker its text is withheld."""
        entry = self._entry(step, task, inputs)
        known = error.classified if isinstance(error, OperationError) else None
        text = error.detail or words(error.__cause__) if isinstance(error, OperationError) else words(error)
        entry.error = {
            "type": known.error_class if known is not None else "task",
            "message": WITHHELD if masker is None else masker.text(text),
            "retryable": known.retryable if known is not None else None,
            "retry_after": known.retry_after if known is not None else None,
        }

    def _entry(self, step: str, task: str, inputs: Mapping[str, Any]) -> _Entry:
        entry = _Entry(step, self._attempt(step), task, _written(inputs))
        self._entries.append(entry)
        return entry

    def _kept(self, value: Any, step: str, name: str) -> Any:
        try:
            return tagged(value)
        except Untaggable as error:
            self.problems.append(f"output `{name}` of step `{step}` cannot be recorded: {error}")
            return None

    async def _copied(
        self, source: AsyncIterator[Batch], rows: list[Any], step: str, masker: Masker
    ) -> AsyncIterator[Batch]:
        async for batch in source:
            rows.extend(self._kept(masker.value(row), step, "rows") for row in batch)
            yield batch

    def recorded(self, places: Sequence[str]) -> tuple[Recorded, ...]:
        """All that was recorded, in the order of the text."""
        calls = [
            Recorded(each.step, each.attempt, each.task, each.inputs, each.outputs, each.error)
            for each in self._entries
        ]
        return in_order(calls, places)


def _reply(found: Recorded) -> Any:
    error = found.error
    if error is not None:
        raise FlowExecutionError(
            error["message"],
            error_class=error["type"],
            retryable=error["retryable"],
            retry_after=error["retry_after"],
        )
    return untagged(found.outputs or {})


def _written(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as a recording holds them. What cannot be written is told apart by its kind alone."""
    found = {}
    for name, value in inputs.items():
        try:
            found[name] = tagged(value)
        except Untaggable:
            found[name] = {"$other": type(value).__name__}
    return found


def _changed(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*recorded, *now])
    return [_difference(name, recorded, now) for name in names if _of(recorded, name) != _of(now, name)]


_ABSENT = object()


def _of(values: Mapping[str, Any], name: str) -> Any:
    return values.get(name, _ABSENT)


def _difference(name: str, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if name not in recorded:
        return f"`{name}` is new, with {shown(now[name])}"
    if name not in now:
        return f"`{name}` is gone, it was {shown(recorded[name])}"
    return f"`{name}` was {shown(recorded[name])} and is {shown(now[name])}"
