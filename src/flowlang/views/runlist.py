"""Runs as a table, and what one told as lines of a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from flowlang.history.listing import TURN, Listed
from flowlang.views.states import STATES, moment
from flowlang.views.text import Paint, cut, many, plain, seconds, table

if TYPE_CHECKING:
    from flowlang.history.told import Told

_MOST = 20  # steps that are told one by one
_ABOUT = 60  # characters of why a run ended as it did


def runs_text(rows: Sequence[Listed], now: float, paint: Paint = plain) -> str:
    """A line for each run. `now`: seconds since the epoch."""
    cells = [
        (each.short, each.state, cut(each.run.flow, 40), moment(each.run.created_at),
         _length(each, now), cut(_about(each, now), _ABOUT))
        for each in rows
    ]  # fmt: skip
    head, *lines = table(cells, ("run", "state", "flow", "created", "took", ""), right=(4,), paint=paint)
    width = max(len(each.short) for each in rows) + 2
    return "\n".join([head, *(_coloured(line, row.state, width, paint) for line, row in zip(lines, rows))])


def _coloured(line: str, state: str, at: int, paint: Paint) -> str:
    return line[:at] + paint(state, STATES.get(state, "bold")) + line[at + len(state) :]


def _length(each: Listed, now: float) -> str:
    run = each.run
    if run.started_at is None:
        return "–"
    return seconds(max(0.0, (run.ended_at or now) - run.started_at))


def _until(at: float) -> str:
    return f"until {moment(at)}"


def _about(each: Listed, now: float) -> str:
    run = each.run
    if run.error is not None and each.state not in ("needs_attention", run.error.type):
        told = f"{run.error.type}: {next(iter(run.error.detail.splitlines()), '')}"
        return f"{run.error.step}: {told}" if run.error.step else told
    if each.state == "needs_attention" and run.error is not None:
        return f"decide about {run.error.step}"
    if each.state == "waiting":
        queued = (run.waits_for or "").startswith(TURN)
        return "for its turn" if queued else f"for signal {run.waits_for}" if run.waits_for else _until(run.due_at)
    if each.state == "queued" and not run.reason and run.due_at > max(now, run.created_at + 1):
        return _until(run.due_at)
    return run.reason or ""


def reuse_text(run_id: str, taken: int, why: Mapping[str, str]) -> str:
    """What a retry took over of the run before it, and for each step that it did again, why."""
    if not why:
        return f"run {run_id}: {many(taken, 'step')} taken over; none was done again"
    lines = [f"run {run_id}: {many(taken, 'step')} taken over; done again:"]
    lines += [f"  {path}: {reason}" for path, reason in list(why.items())[:_MOST]]
    if len(why) > _MOST:
        lines.append(f"  … and {many(len(why) - _MOST, 'more step')}")
    return "\n".join(lines)


class LogLines:
    """What a run told, one line for each thing that ended, with the time of day."""

    def __init__(self, paint: Paint = plain, *, unicode: bool = True) -> None:
        from flowlang.views.progress import Live

        self.paint = paint
        self._live = Live(paint, unicode=unicode, told=None)
        self._lives = 0

    def of(self, told: Told) -> Iterator[str]:
        """The lines that this event is worth."""
        from flowlang.history.told import UNREADABLE, event_of

        if told["event"] == UNREADABLE:
            yield self.paint("a line that is damaged", "error")
            return
        at = self.paint(datetime.fromtimestamp(told["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], "dim")
        kind = told["event"]
        if kind == "run_started":
            self._lives += 1
            yield f"{at} {'began' if self._lives == 1 else 'went on'}"
        event = event_of(told)
        if event is not None:
            for line in self._live.feed(event):
                yield f"{at} {line}"
        if kind == "run_finished":
            yield f"{at} {self.paint(told['status'], STATES.get(told['status'], 'bold'))}"
