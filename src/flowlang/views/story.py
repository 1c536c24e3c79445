"""One run told: what it was, the tree of its steps, how it ended, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flowlang.diagnostics import visible
from flowlang.history.listing import NEVER, TURN
from flowlang.history.story import Story, source_of
from flowlang.history.tree import Node
from flowlang.views.findings import failure_text
from flowlang.views.jsontext import record_json
from flowlang.views.result import beginning, inline, outputs_text
from flowlang.views.states import STATES, moment
from flowlang.views.text import Paint, cut, many, painter, plain, seconds

TURNS = 8  # of a loop; the others are counted, those with trouble are always shown
WIDTH = 100  # characters of inputs or outputs
_MARKS = {
    "succeeded": "✓", "failed": "✗", "skipped": "–", "cancelled": "■", "running": "●", "unknown": "?",
    "unfinished": "…",
}  # fmt: skip
_WORDS = {
    "succeeded": "ok", "failed": "failed", "skipped": "skipped", "cancelled": "cancelled", "running": "*",
    "unknown": "?", "unfinished": "...",
}  # fmt: skip
_TROUBLE = ("failed", "cancelled", "unknown", "unfinished", "running")


def story_text(story: Story, now: float, *, colour: bool = False, unicode: bool = True, full: bool = False) -> str:
    """The whole of it. `now`: seconds since the epoch. `full`: every turn, and values at any length."""
    paint = painter(colour)
    parts = ["\n".join(_head(story, now, paint))]
    if story.steps:
        drawing = _Drawing(paint, unicode=unicode, full=full)
        parts.append("\n".join([paint("steps", "bold"), *drawing.lines(story.steps)]))
    if story.signals:
        parts.append("\n".join([paint("signals", "bold"), *_signals(story)]))
    if isinstance(story.outputs, dict) and story.outputs:
        parts.append(f"{paint('outputs', 'bold')}\n{_indented(outputs_text(story.outputs, paint))}")
    elif story.outputs and not isinstance(story.outputs, dict):
        parts.append(f"{paint('outputs', 'bold')}  {story.outputs} (sealed)")
    failure = story.run.error
    if failure is not None and story.state != "needs_attention":
        source = source_of(story.texts, failure.file) if failure.file is not None else None
        sources = {failure.file: source} if failure.file is not None and source is not None else {}
        parts.append(failure_text(failure, None, sources, colour=colour))
    if story.damages:
        parts.append("\n".join([paint("damaged", "error"), *(f"  {visible(each)}" for each in story.damages)]))
    ahead = list(next_steps(story))
    if ahead:
        parts.append("\n".join([paint("next", "bold"), *(f"  {visible(each)}" for each in ahead)]))
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


# ---------------------------------------------------------------- the head


def _head(story: Story, now: float, paint: Paint) -> list[str]:
    run = story.run
    spent = (run.ended_at or now) - run.started_at if run.started_at is not None else None
    told = f" after {seconds(spent)}" if spent is not None and run.ended_at is not None else ""
    lines = [f"{paint(visible(run.flow), 'bold')}  {paint(story.state, STATES.get(story.state, 'bold'))}{told}"]
    lines += [f"  {paint(name.ljust(9), 'dim')} {visible(text)}" for name, text in _facts(story, spent, now)]
    return lines


def _facts(story: Story, spent: float | None, now: float) -> Iterator[tuple[str, str]]:
    run = story.run
    yield "run", run.id if run.durable else f"{run.id} (recorded; it cannot be resumed)"
    yield "version", run.hash[:12] + (f" of {story.file}" if story.file else "")
    attempt = f", attempt {run.attempt} of run {run.origin}" if run.origin else ""
    yield "created", f"{moment(run.created_at)} by {run.started_by}{attempt}"
    if run.started_at is not None:
        yield "started", moment(run.started_at)
    if run.ended_at is not None:
        yield "ended", moment(run.ended_at)
    elif spent is not None:
        yield "for", seconds(max(spent, 0.0))
    if run.durable and (run.queue != "default" or run.priority):
        yield "queue", run.queue + (f", priority {run.priority}" if run.priority else "")
    if len(story.begun) > 1:
        yield "went on", ", ".join(moment(each) for each in story.begun[1:])
    if story.state == "waiting" and (run.waits_for or "").startswith(TURN):
        yield "waits", "for its turn: `concurrency` of the flow"
    elif story.state in ("waiting", "queued") and now < run.due_at < NEVER:
        yield "until", moment(run.due_at)
    if run.takeovers:
        yield "taken over", many(run.takeovers, "time")
    if run.reason:
        yield "reason", run.reason
    if story.inputs:
        yield "inputs", _short(story.inputs, WIDTH)
    for each in story.runs_from:
        yield "retried as", each


# ---------------------------------------------------------------- the steps


class _Drawing:
    """The tree. A long loop shows its first turns and those with trouble, unless `full`."""

    def __init__(self, paint: Paint = plain, *, unicode: bool = True, full: bool = False) -> None:
        self.paint = paint
        self.full = full
        self.marks = _MARKS if unicode else _WORDS
        self.arrows = ("←", "→") if unicode else ("<-", "->")

    def lines(self, nodes: Sequence[Node], parent: Node | None = None, lead: str = "  ") -> list[str]:
        lines: list[str] = []
        turns = list(dict.fromkeys(each.turn for each in nodes if each.turn is not None))
        shown = set(turns) if self.full or len(turns) <= TURNS else _worth_showing(nodes, turns)
        said: int | None = None
        for node in nodes:
            if node.turn is not None and node.turn not in shown:
                continue
            if node.turn is not None and node.turn != said:
                said = node.turn
                lines.append(lead + self.paint(f"[{node.turn}]", "dim"))
            inner = lead + ("  " if node.turn is not None else "")
            lines += self.node(node, parent, inner)
        if len(shown) < len(turns):
            more = many(len(turns) - len(shown), "more turn")
            lines.append(lead + self.paint(f"… and {more}, without trouble (`--full` shows them)", "dim"))
        return lines

    def node(self, node: Node, parent: Node | None, lead: str) -> list[str]:
        mark = self.paint(self.marks.get(node.state, node.state), STATES.get(node.state, "bold"))
        lines = [f"{lead}{mark} {visible(_label(node, parent))}  {self.paint(visible('  '.join(_about(node))), 'dim')}"]
        inner = lead + "    "
        width = None if self.full else WIDTH
        taken, given = self.arrows
        if node.inputs:
            lines.append(f"{inner}{self.paint(taken, 'dim')} {visible(_short(node.inputs, width))}")
        lines += [
            f"{inner}{self.paint('attempt', 'dim')} {each.attempt}: {visible(f'{each.type}: {_line(each.detail)}')}"
            for each in node.tries
        ]
        lines += [f"{inner}{self.paint('log', 'hint')} {visible(cut(each, 500))}" for each in node.messages]
        if node.outputs not in (None, {}):
            lines.append(f"{inner}{self.paint(given, 'dim')} {visible(_short(node.outputs, width))}")
        if node.failure is not None and not any(each.state == "failed" for each in node.children):
            told = f"{node.failure.type}: {_line(node.failure.detail)}"
            lines.append(f"{inner}{self.paint(visible(told), 'error')}")
        return lines + self.lines(node.children, node, lead + "  ")


def _worth_showing(nodes: Sequence[Node], turns: Sequence[int]) -> set[int]:
    """The first turns, and the first of those in which something went wrong."""
    trouble = list(dict.fromkeys(each.turn for each in nodes if each.turn is not None and _troubled(each)))
    return {*turns[: TURNS // 2], *trouble[:TURNS]}


def _troubled(node: Node) -> bool:
    return node.state in _TROUBLE or any(_troubled(each) for each in node.children)


def _label(node: Node, parent: Node | None) -> str:
    if parent is None:
        return node.path
    return (
        node.path[len(parent.path) :].partition("]")[2 if node.turn is not None else 0].removeprefix(".") or node.path
    )


def _about(node: Node) -> Iterator[str]:
    if node.operation:
        yield node.operation
    if node.duration is not None and node.state != "skipped":
        yield seconds(node.duration)
    if node.state not in ("succeeded", "failed"):
        yield _SAID.get(node.state, node.state)
    if node.attempts > 1:
        yield f"{node.attempts} attempts"
    if node.done is not None:
        yield f"{node.done:,} of {many(node.total, 'turn')}" if node.total is not None else many(node.done, "turn")
    if node.cached:
        yield "from the cache"
    if node.taken_over:
        yield "taken over"
    elif node.again is not None:
        yield f"done again: {node.again}"
    if node.state == "running" and node.signal is not None:
        yield f"waits for signal `{node.signal}`"
    if node.state == "running" and node.until is not None:
        yield f"until {moment(node.until)}"
    if node.site is not None:
        yield f"line {node.site.line}"


_SAID = {
    "unknown": "had begun; whether it was done is unknown",
    "unfinished": "had begun",
}


def _line(text: str) -> str:
    return cut(next(iter(text.strip().splitlines()), ""), 200)


def _short(value: Any, width: int | None) -> str:
    """A value on one line: objects as `name = value, …`. Of one that is cut, no more is looked at than is shown."""
    if not isinstance(value, dict):
        text = _plain(value, width)
        return text if width is None else cut(text, width)
    parts, length = [], 0
    for name, each in value.items():
        parts.append(f"{name} = {_plain(each, width)}")
        length += len(parts[-1])
        if width is not None and length > width:
            break
    text = ", ".join(parts)
    return text if width is None else cut(text, width)


def _plain(value: Any, width: int | None) -> str:
    if isinstance(value, dict) and set(value) == {"text", "values"}:  # a statement
        bound = f" with {_plain(value['values'], width)}" if value["values"] else ""
        return f"{' '.join(str(value['text']).split())}{bound}"
    text = inline(value if width is None else beginning(value, width))
    return " ".join(text.split("\n"))


def _signals(story: Story) -> Iterator[str]:
    untaken = "nobody took it" if story.over else "nobody has taken it yet"
    for each in story.signals:
        taken = f"taken by {each.taken_by.partition('#')[0]}" if each.taken_by else untaken
        yield visible(
            f"  {each.name}  {moment(each.sent_at)}  {cut(record_json(beginning(each.payload, 60)), 60)}  {taken}"
        )


# ---------------------------------------------------------------- what to do


def next_steps(story: Story) -> Iterator[str]:
    """The commands that help now, each with what it is for."""
    run = story.run
    short = run.id
    if not story.whole:
        yield "what is told here of its steps is not all; it can neither go on nor be retried"
        yield "take its journal from a backup of the store"
    elif story.state == "needs_attention":
        for path in story.undecided:
            yield f"nobody knows whether `{path}` was done. Look at the service, then"
            yield f"  flowlang runs resume {short} --retry '{path}'     if it was not: it is done again"
            yield f"  flowlang runs resume {short} --skip '{path}' --outputs JSON     if it was, with what it returned"
        if len(story.undecided) > 1:
            yield "all of them can be decided at once; what is left undecided stops the run again"
    elif story.state == "interrupted":
        yield f"flowlang runs resume {short}     its process is gone; it goes on where it was"
    elif story.state == "parked":
        yield f"flowlang runs resume {short}     its workers died again and again; when the cause is mended"
    elif story.state == "waiting" and run.waits_for and not run.waits_for.startswith(TURN):
        for name in run.waits_for.split():
            yield f"flowlang runs signal {short} {name} --json PAYLOAD"
    elif story.state in ("failed", "timed_out", "cancelled") and run.durable:
        yield f"flowlang runs retry {short}     a new run: what failed is done again, and all that follows"
        yield f"flowlang runs retry {short} --from STEP --flow FILE     the same from another step, with an edited flow"
    elif story.state == "lost":
        yield "it ran in memory and its process is gone: run it again, with --durable to have it survive that"
