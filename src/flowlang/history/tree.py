"""The steps of a run as a tree, from its journal and its events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowlang.durable.places import static
from flowlang.durable.records import StoredStep, failure_of
from flowlang.exceptions import Failure
from flowlang.history.times import instant
from flowlang.history.told import Told, failure_told
from flowlang.history.values import Damages, shown, shown_inputs
from flowlang.plan import Site, Step

Places = Mapping[str, Step]
"""The steps of a plan by their paths, with `[*]` for turns."""
_LAST_TURN = re.compile(r"\[(\d+)\]\Z")
_ENDS = {"step_succeeded": "succeeded", "step_failed": "failed", "step_cancelled": "cancelled"}


@dataclass(slots=True)
class Node:
    """A step, or a block with the steps inside. Times are seconds since the epoch, `duration` is seconds.

    `state`: running, succeeded, failed, skipped, cancelled; `unfinished` when its process was lost in it, `unknown`
    when it had begun to write then, so that nobody knows whether it did. `inputs` and `outputs` are masked. `tries`
    are the attempts that failed before the last one. `turn`: of the loop around it. In a run that retries another one
    the step was `taken_over` from that, or done `again`, and why.
    """

    path: str
    operation: str = ""
    state: str = "running"
    started_at: float | None = None
    duration: float | None = None
    attempts: int = 1
    inputs: Any = None
    outputs: Any = None
    failure: Failure | None = None
    tries: list[Failure] = field(default_factory=list)
    connection: str | None = None
    cached: bool = False
    taken_over: bool = False
    again: str | None = None
    until: float | None = None
    signal: str | None = None
    messages: list[str] = field(default_factory=list)
    done: int | None = None
    total: int | None = None
    turn: int | None = None
    site: Site | None = None
    children: list[Node] = field(default_factory=list)

    def to_record(self) -> dict[str, Any]:
        site = self.site
        return {
            "path": self.path, "operation": self.operation, "state": self.state,
            "started_at": instant(self.started_at), "duration": self.duration, "attempts": self.attempts,
            "inputs": self.inputs, "outputs": self.outputs, "error": self.failure and self.failure.as_value(),
            "tries": [each.as_value() for each in self.tries], "connection": self.connection, "cached": self.cached,
            "taken_over": self.taken_over, "again": self.again, "waits_until": instant(self.until),
            "signal": self.signal,
            "messages": self.messages, "turns": self.done, "turn": self.turn,
            "source": site and {"file": site.file, "line": site.line, "column": site.column},
            "steps": [each.to_record() for each in self.children],
        }  # fmt: skip


def tree(
    told: Iterable[Told],
    journal: Sequence[StoredStep],
    places: Places,
    damages: Damages,
    *,
    live: bool,
    whole: bool,
) -> list[Node]:
    """The steps, in the order in which they began. `places`: the steps of the plan, by their paths. `damages`: gets
    what cannot be read. `live`: the run is under way, so that what has no end yet is going on. `whole`: the journal is;
    otherwise events may know of an end that it does not."""
    nodes: dict[str, Node] = {}
    for each in told:
        _fold(nodes, each)
    for step in sorted(journal, key=lambda each: (each.started_at, each.path, each.nth)):
        if "@" not in step.path:  # a time that an expression has read, or a deadline
            _record(nodes, step, damages, whole=whole)
    for node in nodes.values():
        if node.state == "running" and not live:
            node.state = "unfinished"
        elif node.state == "started":
            node.state = "running" if live else "unknown"
    return _planted(nodes, places)


# ---------------------------------------------------------------- events


def _fold(nodes: dict[str, Node], told: Told) -> None:
    path, kind = told.get("path"), told["event"]
    if path is None or kind.startswith(("lease_", "request_")):
        return
    node = nodes.get(path)
    if node is None:
        node = nodes[path] = Node(path, started_at=told["at"])
    if kind == "step_started":
        node.operation, node.connection, node.inputs = told["operation"], told["connection"], told["inputs"]
        node.state, node.started_at = "running", told["at"]
    elif kind in _ENDS:
        node.state, node.duration = _ENDS[kind], told["duration"]
        node.until = node.signal = None
        if kind == "step_succeeded":
            node.attempts, node.outputs, node.cached = told["attempts"], told["outputs"], told["cached"]
        elif kind == "step_failed":
            node.failure = failure_told(told["failure"])
            node.attempts = node.failure.attempt if node.failure.step == path else 1
    elif kind == "step_reused":
        node.taken_over, node.again = told["again"] is None, told["again"]
    elif kind == "step_skipped":
        node.operation, node.state = told["operation"], "skipped"
    elif kind == "attempt_failed":
        node.tries.append(failure_told(told["failure"]))
    elif kind == "step_waiting":
        node.until, node.signal = told["until"], told["signal"]
    elif kind == "log_written":
        node.messages.append(told["message"])
    elif kind == "progress":
        node.done, node.total = told["done"], told["total"]


# ---------------------------------------------------------------- the journal


def _record(nodes: dict[str, Node], step: StoredStep, damages: Damages, *, whole: bool) -> None:
    """What the journal says of a call, over whatever events say."""
    node = nodes.get(step.path)
    if node is None:
        node = nodes[step.path] = Node(step.path, step.operation, "started", step.started_at)
    if step.inputs is not None:
        node.inputs = shown_inputs(step.inputs, f"the inputs of `{step.path}`", damages)
    if step.state == "started":
        node.state = "started" if whole or node.state not in _ENDS.values() else node.state
        return
    known = shown(step.outcome, f"the outcome of `{step.path}`", damages)
    if step.operation in ("wait", "signal") and step.state == "succeeded":
        node.operation = "wait"
        if step.operation == "signal":
            node.outputs, node.state = {"payload": known}, "succeeded"
        elif node.state == "started" and isinstance(known, (int, float)):
            node.state, node.until = "running", float(known)
        return
    if node.duration is None and step.ended_at is not None:
        node.duration = max(0.0, step.ended_at - step.started_at)
    if step.state == "failed":
        _failed(node, known)
        return
    node.state = step.state
    if known is not None:
        together = step.operation == "transaction" and isinstance(known, dict)
        node.outputs = known.get("left", known) if together else known


def _failed(node: Node, known: Any) -> None:
    """A call that failed: the end of its step, or an attempt before another. Of the two events know more."""
    failure = failure_of(known) if isinstance(known, dict) else None
    if node.state in ("started", "failed"):
        node.state = "failed"
        if node.failure is not None and failure is not None and node.failure.attempt < failure.attempt:
            node.tries.append(node.failure)
        if node.failure is None or (failure is not None and node.failure.attempt < failure.attempt):
            node.failure = failure
        node.attempts = max(node.attempts, failure.attempt if failure is not None else 1)


# ---------------------------------------------------------------- planting


def around(path: str) -> Iterator[tuple[str, int | None]]:
    """The paths around `path`, the nearest first, each with the turn of it that `path` is in."""
    while "." in path:
        path = path.rpartition(".")[0]
        turn = _LAST_TURN.search(path)
        if turn is not None:
            path = path[: turn.start()]
        yield path, int(turn[1]) if turn is not None else None


def _planted(nodes: dict[str, Node], places: Places) -> list[Node]:
    """Each node below the one around it. A block that only its steps are known of is there as well."""
    for path in list(nodes):
        for outer, turn in around(path):
            if outer not in nodes and (turn is not None or static(outer) in places):
                nodes[outer] = Node(outer, state="running")
    roots: list[Node] = []
    for node in nodes.values():
        step = places.get(static(node.path))
        node.site = step.site if step is not None else None
        if node.site is not None and not node.operation:
            node.operation = node.site.operation
        near = next(((nodes[outer], turn) for outer, turn in around(node.path) if outer in nodes), None)
        if near is None:
            roots.append(node)
            continue
        near[0].children.append(node)
        node.turn = near[1]
    for node in nodes.values():
        node.children.sort(key=_order)
        if node.done is None:
            node.done = len({each.turn for each in node.children if each.turn is not None}) or None
        if node.started_at is None:
            node.state = "unfinished"
    roots.sort(key=_order)
    return roots


def _order(node: Node) -> tuple[int, float]:
    first = node.started_at
    if first is None:
        first = min((_order(each)[1] for each in node.children), default=0.0)
    return (node.turn if node.turn is not None else -1, first)
