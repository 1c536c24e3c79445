"""From the model of a flow to its chart: the words that each step is drawn with.

A picture names things and says conditions. It shows no values of a connection's config and no defaults of inputs, and
every text goes through `clean`, which takes known secrets out of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

from flowlang.diagnostics import visible
from flowlang.document import model
from flowlang.plan import Operation
from flowlang.records import frozen
from flowlang.views.graph.chart import Badge, Chart, Group, Handled, Lane, Node, Part


@frozen
class Drawn:
    """A flow that is to be drawn: its model, and the operations of its plan, which know every connection."""

    flow: model.Flow
    operations: tuple[Operation, ...]
    folder: str


Reach = Callable[[str, str], Drawn | None]
"""`(folder, name) -> the flow that a subflow step names`, None when it is not to be had."""


def chart(drawn: Drawn, *, depth: int = 0, reach: Reach | None = None, clean: Callable[[str], str] = str) -> Chart:
    """The picture of a flow. Subflows are drawn out through `depth` levels, others are one node. `clean` takes known
    secrets out of a text."""
    flow = drawn.flow
    maker = _Maker(drawn, depth, reach, clean, "")
    steps = maker.block(flow.steps, "")
    asked = tuple(f"{each.name.text}: {each.type_name}{'' if each.required else '?'}" for each in flow.inputs)
    given = tuple(each.name.text + (f": {each.type_name}" if each.type_name else "") for each in flow.outputs)
    first = _ends_of_flow("inputs", asked)
    last = () if any(each.ends for each in steps) else (_ends_of_flow("outputs", given),)
    cleanups = tuple(
        Lane(word, label, maker.block(inner, f"{word}."))
        for word, label, inner in (
            ("on_cancel", "on_cancel: when the run is cancelled", flow.on_cancel),
            ("finally", "finally: at the end, whatever it was", flow.finally_),
        )
        if inner
    )
    connections = tuple(Badge(visible(each.name.text), visible(each.type.text)) for each in flow.connections)
    title, description = maker.words(flow.name.text), maker.words(flow.description or "")
    return Chart(title, description, connections, Lane("steps", "", (first, *steps, *last)), cleanups)


def _ends_of_flow(word: str, names: tuple[str, ...]) -> Node:
    lines = tuple(map(visible, names)) or (f"no {word}",)
    return Node(f"={word}", word, word, lines, detail="\n".join(lines))


@frozen
class _Maker:
    """Makes the parts of one flow file."""

    drawn: Drawn
    depth: int
    reach: Reach | None
    clean: Callable[[str], str]
    prefix: str

    def words(self, text: str) -> str:
        """`text` on one line, without what could redraw a screen or is a known secret."""
        return visible(" ".join(self.clean(text).split()))

    # ------------------------------------------------------------ blocks

    def block(self, steps: Sequence[model.Step], prefix: str) -> tuple[Part, ...]:
        return tuple(self.part(step, prefix, number) for number, step in enumerate(steps, 1))

    def lane(self, key: str, label: str, steps: Sequence[model.Step], how: Literal["branch", "error", "body"]) -> Lane:
        return Lane(self.prefix + key, label, self.block(steps, f"{key}."), how)

    def part(self, step: model.Step, prefix: str, number: int) -> Part:
        modifiers = step.modifiers
        word = _word(step)
        path = prefix + (modifiers.id.text if modifiers.id is not None else f"{word}#{number}")
        made = _MAKERS[type(step)](self, step, path)
        made = replace(
            made,
            key=self.prefix + path,
            guard=self.condition(modifiers.guard) if modifiers.guard is not None else None,
            notes=tuple(_notes(step)),
            place=f"{visible(os.path.basename(step.span.file))}:{step.span.start.line}",
        )
        if isinstance(made, Node) and made.guard is not None:
            made = replace(made, ends=False)
        if modifiers.on_error is None:
            return made
        return Handled(made, self.lane(f"{path}.on_error", "on error", modifiers.on_error, "error"))

    # ------------------------------------------------------------ words

    def title(self, step: model.Step, otherwise: str) -> str:
        id_ = step.modifiers.id
        return visible(id_.text) if id_ is not None else otherwise

    def condition(self, guard: model.Guard) -> str:
        if isinstance(guard, model.Condition):
            return self.words(_bare(guard.scalar.text))
        joined = {"any": " or ", "all": " and ", "none": " or "}[guard.kind].join(map(self.condition, guard.members))
        return f"not ({joined})" if guard.kind == "none" else joined

    def value(self, value: model.Value) -> str:
        """A value as the file says it, on one line."""
        if isinstance(value, model.Computed):
            return self.words(_bare(value.scalar.text) if value.template.whole is not None else value.scalar.text)
        if isinstance(value, model.Constant):
            return self.words(value.scalar.text if value.value is not None else "null")
        if isinstance(value, model.ListValue):
            return f"[{', '.join(map(self.value, value.items))}]"
        return "{" + ", ".join(f"{visible(name.text)}: {self.value(each)}" for name, each in value.entries) + "}"

    # ------------------------------------------------------------ steps that hold none

    def task(self, step: model.TaskStep, path: str) -> Node:
        operation = visible(step.task.text)
        named = step.connection.text if step.connection is not None else None
        if named is None:
            found = (each.connection_name for each in self.drawn.operations if each.spec.name == step.task.text)
            named = next(found, None)
        title = self.title(step, operation)
        lines = (operation,) if title != operation else ()
        return Node(path, "task", title, lines, self.badge(named), detail=operation)

    def badge(self, connection: str | None) -> Badge | None:
        type_ = next((each.type.text for each in self.drawn.flow.connections if each.name.text == connection), None)
        return Badge(visible(connection), visible(type_)) if connection is not None and type_ is not None else None

    def leaf(self, step: model.Step, path: str, kind: str, text: str, *, ends: bool = False) -> Node:
        """A step of a verb: its id or the verb, and below it what it says."""
        title = self.title(step, kind)
        shown = f"{kind} {text}".rstrip() if title != kind else text
        return Node(path, kind, title, (shown,) if shown else (), detail=f"{kind} {text}".rstrip(), ends=ends)

    def set(self, step: model.SetStep, path: str) -> Node:
        return self.leaf(step, path, "set", ", ".join(visible(name.text) for name, _ in step.values))

    def log(self, step: model.LogStep, path: str) -> Node:
        return self.leaf(step, path, "log", self.value(step.message))

    def raise_(self, step: model.RaiseStep, path: str) -> Node:
        error_class = step.error_class.text if step.error_class is not None else "task"
        return self.leaf(step, path, "raise", f"{visible(error_class)}: {self.value(step.message)}", ends=True)

    def exit(self, step: model.ExitStep, path: str) -> Node:
        status = "failure" if step.status == "failure" else ""
        reason = self.value(step.reason) if step.reason is not None else ""
        return self.leaf(step, path, "exit", ": ".join(filter(None, (status, reason))), ends=True)

    def wait(self, step: model.WaitStep, path: str) -> Node:
        if step.signal is not None:
            text = f"for signal {visible(step.signal.text)}"
            text += f", {_time(step.timeout)} at most" if step.timeout is not None else ""
        elif step.until is not None:
            text = f"until {self.value(step.until)}"
        else:
            text = self.value(step.duration) if step.duration is not None else ""
        return self.leaf(step, path, "wait", text)

    def subflow(self, step: model.SubflowStep, path: str) -> Node | Group:
        name = self.words(step.flow.text)
        callee = self.reach(self.drawn.folder, step.flow.text) if self.depth > 0 and self.reach is not None else None
        if callee is None:
            return self.leaf(step, path, "subflow", name)
        inner = _Maker(callee, self.depth - 1, self.reach, self.clean, f"{self.prefix}{path}/")
        steps = Lane(inner.prefix + "steps", "", inner.block(callee.flow.steps, ""))
        after = (inner.lane("finally", "finally", callee.flow.finally_, "body"),) if callee.flow.finally_ else ()
        return Group(path, "subflow", self.title(step, "subflow"), name, (steps,), after)

    # ------------------------------------------------------------ steps that hold others

    def group(self, step: model.Step, path: str, kind: str, label: str, lanes: Iterable[Lane]) -> Group:
        return Group(path, kind, self.title(step, kind), label, tuple(lanes), detail=f"{kind} {label}".rstrip())

    def if_(self, step: model.IfStep, path: str) -> Group:
        lanes = [
            self.lane(f"{path}.{f'elif{at}' if at else 'then'}", self.condition(guard), steps, "branch")
            for at, (guard, steps) in enumerate(step.branches)
        ]
        lanes.append(self.lane(f"{path}.else", "else", step.otherwise or (), "branch"))
        return self.group(step, path, "if", "", lanes)

    def switch(self, step: model.SwitchStep, path: str) -> Group:
        lanes = [
            self.lane(f"{path}.case{number}", " or ".join(map(self.value, case.when)), case.steps, "branch")
            for number, case in enumerate(step.cases, 1)
        ]
        lanes.append(self.lane(f"{path}.default", "default", step.default or (), "branch"))
        return self.group(step, path, "switch", self.value(step.subject), lanes)

    def for_each(self, step: model.ForEachStep, path: str) -> Group:
        label = f"{visible(step.variable.text)} in {self.value(step.items)}"
        label += f", {step.batch_size} at a time" if step.batch_size is not None else ""
        label += f", {step.max_concurrency} turns at once" if step.max_concurrency > 1 else ""
        return self.group(step, path, "for_each", label, [self.lane(f"{path}.do", "", step.body, "body")])

    def repeat(self, step: model.RepeatStep, path: str) -> Group:
        label = f"{self.condition(step.condition)}, {step.max_iterations} turns at most"
        label += f", every {_time(step.interval)}" if step.interval else ""
        return self.group(step, path, step.kind, label, [self.lane(f"{path}.do", "", step.body, "body")])

    def parallel(self, step: model.ParallelStep, path: str) -> Group:
        label = f"{step.max_concurrency} at once" if step.max_concurrency is not None else ""
        lanes = [
            self.lane(f"{path}.branch{number}", "", branch, "body") for number, branch in enumerate(step.branches, 1)
        ]
        return self.group(step, path, "parallel", label, lanes)

    def transaction(self, step: model.TransactionStep, path: str) -> Group:
        lanes = [self.lane(f"{path}.do", "", step.body, "body")]
        made = self.group(step, path, "transaction", "", lanes)
        return replace(made, badge=self.badge(step.connection.text))

    def try_(self, step: model.TryStep, path: str) -> Group:
        lanes = [self.lane(f"{path}.try", "", step.body, "body")]
        for number, each in enumerate(step.catches, 1):
            label = " or ".join(visible(name.text) for name in each.on) or "any failure"
            label += f" if {self.condition(each.guard)}" if each.guard is not None else ""
            lanes.append(self.lane(f"{path}.catch{number}", f"catch {label}", each.steps, "error"))
        made = self.group(step, path, "try", "", lanes)
        if step.finally_:
            made = replace(made, after=(self.lane(f"{path}.finally", "finally", step.finally_, "body"),))
        return made


_MAKERS: dict[type, Callable[[_Maker, Any, str], Node | Group]] = {
    model.TaskStep: _Maker.task,
    model.SetStep: _Maker.set,
    model.IfStep: _Maker.if_,
    model.SwitchStep: _Maker.switch,
    model.ForEachStep: _Maker.for_each,
    model.RepeatStep: _Maker.repeat,
    model.ParallelStep: _Maker.parallel,
    model.TransactionStep: _Maker.transaction,
    model.TryStep: _Maker.try_,
    model.WaitStep: _Maker.wait,
    model.SubflowStep: _Maker.subflow,
    model.ExitStep: _Maker.exit,
    model.RaiseStep: _Maker.raise_,
    model.LogStep: _Maker.log,
}
_WORDS: dict[type, str] = {model.ForEachStep: "for_each"}


def _word(step: model.Step) -> str:
    """The verb or the task, as paths say it."""
    if isinstance(step, model.TaskStep):
        return step.task.text
    if isinstance(step, model.RepeatStep):
        return step.kind
    return _WORDS.get(type(step)) or type(step).__name__.removesuffix("Step").lower()


def _bare(text: str) -> str:
    """The text of an expression without `${…}` when that stands around all of it."""
    text = text.strip()
    whole = text.startswith("${") and text.endswith("}") and "${" not in text[2:] and "}" not in text[:-1]
    return text[2:-1].strip() if whole else text


def _time(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _notes(step: model.Step) -> Iterable[str]:
    """What the modifiers add, in a word each."""
    modifiers = step.modifiers
    if modifiers.retry is not None:
        yield f"retry {modifiers.retry.max_attempts}×"
    if modifiers.timeout is not None:
        yield f"timeout {_time(modifiers.timeout)}"
    if modifiers.cache is not None:
        yield f"cache {_time(modifiers.cache.ttl)}"
    if modifiers.idempotency_key is not None:
        yield "keyed"
    if modifiers.exactly_once:
        yield "exactly once"
    if modifiers.continue_on_error:
        yield "continue on error"
    if isinstance(step, model.ForEachStep) and step.max_failures:
        yield f"{step.max_failures} failures allowed"
    if isinstance(step, model.ParallelStep) and not step.fail_fast:
        yield "waits for all"
