"""Steps with their defaults, one function for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatchmethod

from flowlang.document import model
from flowlang.plan import Operation
from flowlang.views.explicit import modifiers
from flowlang.views.explicit.lines import DEFAULT, data, duration, item, literal, nested, remark, setting, word
from flowlang.views.explicit.values import Values, inside, keys_of

_NO_TYPE = "task"  # the class of a `raise` that names none


class Steps:
    """Writes the steps of one flow. `operations` are the tasks that its plan calls, each with its connection;
    `policies` how connections to services in YAML are asked again, by name."""

    def __init__(
        self,
        values: Values,
        flow: model.Flow,
        operations: Iterable[Operation],
        policies: Mapping[str, model.Retry],
    ) -> None:
        self.values = values
        self.defaults = flow.defaults
        self.policies = policies
        self.types = [each.type.text for each in flow.connections]
        self.operations: dict[str, list[Operation]] = {}
        for each in operations:
            self.operations.setdefault(each.spec.name, []).append(each)

    def block(self, key: str, steps: Sequence[model.Step]) -> list[str]:
        lines = [line for step in steps for line in item(self.step(step))]
        return [f"{key}:", *nested(lines)] if lines else [f"{key}: []"]

    def step(self, step: model.Step) -> list[str]:
        own = step.modifiers
        lines = [*modifiers.before(self.values, own), *self.verb(step)]
        called = self._operation(step) if isinstance(step, model.TaskStep) else None
        of_service = self.policies.get(called.connection_name or "") if called is not None else None
        lines += modifiers.after(self.values, step, self.defaults, of_service)
        return lines + (self.block("on_error", own.on_error) if own.on_error is not None else [])

    def _setting(self, step: model.Step, key: str, value: str) -> str:
        return setting(key, value, "" if key in keys_of(step.at) else DEFAULT)

    def _object(self, key: str, entries: tuple[tuple[model.Name, model.Value], ...]) -> list[str]:
        lines = self.values.entries(entries)
        return [f"{key}:", *nested(lines)] if lines else [f"{key}: {{}}"]

    @singledispatchmethod
    def verb(self, step: model.Step) -> list[str]:
        raise TypeError(f"a step of a kind without a form: {type(step).__name__}")

    # ------------------------------------------------------------ tasks and subflows

    @verb.register
    def _(self, step: model.TaskStep) -> list[str]:
        operation = self._operation(step)
        lines = [setting("task", word(literal(step.task.text)))]
        if step.connection is not None:
            lines.append(setting("connection", step.connection.text))
        elif operation is not None and operation.connection_name is not None:
            lines.append(setting("connection", operation.connection_name, f"{DEFAULT}: the only one that fits"))
        lines += self._object("inputs", step.arguments) if step.arguments else []
        if operation is not None:
            lines += _parameters(operation, {name.text for name, _ in step.arguments})
        if step.selected is not None:
            return [*lines, setting("outputs", data([each.text for each in step.selected]))]
        known = operation.spec.outputs if operation is not None else None
        return [*lines, remark("outputs: all" + (f" ({', '.join(known)})" if known else ""))]

    def _operation(self, step: model.TaskStep) -> Operation | None:
        """What the step calls. Without `connection` a task of no type comes first, then the first type that has it."""
        known = self.operations.get(step.task.text, [])
        if step.connection is not None:
            return next((each for each in known if each.connection_name == step.connection.text), None)
        ranks = {None: -1} | {type_: rank for rank, type_ in reversed(list(enumerate(self.types)))}
        return min(known, key=lambda each: ranks.get(each.spec.connection_type, len(ranks)), default=None)

    @verb.register
    def _(self, step: model.SubflowStep) -> list[str]:
        lines = [setting("subflow", word(literal(step.flow.text)))]
        lines += self._object("inputs", step.arguments) if step.arguments else [remark("inputs: none")]
        if step.selected is None:
            return [*lines, remark("outputs: all")]
        return [*lines, setting("outputs", data([each.text for each in step.selected]))]

    @verb.register
    def _(self, step: model.TransactionStep) -> list[str]:
        return [setting("transaction", step.connection.text), *self.block("do", step.body)]

    # ------------------------------------------------------------ values, texts and ends

    @verb.register
    def _(self, step: model.SetStep) -> list[str]:
        return self._object("set", step.values)

    @verb.register
    def _(self, step: model.LogStep) -> list[str]:
        return self.values.lines("log", step.message)

    @verb.register
    def _(self, step: model.WaitStep) -> list[str]:
        if step.duration is not None:
            return self.values.lines("wait", step.duration)
        if step.until is not None:
            return ["wait:", *nested(self.values.lines("until", step.until))]
        signal = [setting("signal", word(literal(step.signal.text)))] if step.signal is not None else []
        limit = remark("no timeout") if step.timeout is None else setting("timeout", duration(step.timeout))
        return ["wait:", *nested([*signal, limit])]

    @verb.register
    def _(self, step: model.ExitStep) -> list[str]:
        lines = self.values.lines("reason", step.reason) if step.reason is not None else []
        given = keys_of(inside(step.at, "exit"))
        lines.append(setting("status", step.status, "" if "status" in given else DEFAULT))
        if step.outputs is None:
            lines.append(remark("no outputs"))
        else:
            lines += self._object("outputs", step.outputs)
        return ["exit:", *nested(lines)]

    @verb.register
    def _(self, step: model.RaiseStep) -> list[str]:
        named = step.error_class
        kind = setting("type", _NO_TYPE, DEFAULT) if named is None else setting("type", named.text)
        return ["raise:", *nested([kind, *self.values.lines("message", step.message)])]

    # ------------------------------------------------------------ choices

    @verb.register
    def _(self, step: model.IfStep) -> list[str]:
        (guard, steps), *others = step.branches
        lines = [*self.values.guard("if", guard), *self.block("then", steps)]
        if others:
            rest = [item([*self.values.guard("if", each), *self.block("then", inner)]) for each, inner in others]
            lines += ["elif:", *nested(line for each in rest for line in each)]
        return lines + (self.block("else", step.otherwise) if step.otherwise is not None else [])

    @verb.register
    def _(self, step: model.SwitchStep) -> list[str]:
        lines = self.values.lines("switch", step.subject)
        cases = [line for each in step.cases for line in item(self._case(each))]
        lines += ["cases:", *nested(cases)] if cases else ["cases: []"]
        if step.default is None:
            return [*lines, remark("no default: without a case that fits the flow goes on")]
        return lines + self.block("default", step.default)

    def _case(self, case: model.Case) -> list[str]:
        (first, *more), at = case.when, case.at
        when: model.Value = model.ListValue(case.when, at) if more else first
        return [*self.values.lines("when", when), *self.block("do", case.steps)]

    @verb.register
    def _(self, step: model.TryStep) -> list[str]:
        lines = self.block("try", step.body)
        handlers = [line for each in step.catches for line in item(self._catch(each))]
        lines += ["catch:", *nested(handlers)] if handlers else []
        if step.finally_ or not handlers:
            lines += self.block("finally", step.finally_)
        return lines

    def _catch(self, catch: model.Catch) -> list[str]:
        given = keys_of(catch.at)
        name = catch.variable.text if catch.variable is not None else "error"
        lines = [setting("as", name, "" if "as" in given else DEFAULT)]
        if catch.on:
            lines.append(setting("on", data([each.text for each in catch.on])))
        else:
            lines.append(remark("on: every class"))
        lines += self.values.guard("if", catch.guard) if catch.guard is not None else []
        return [*lines, *self.block("do", catch.steps)]

    # ------------------------------------------------------------ loops and branches

    @verb.register
    def _(self, step: model.ForEachStep) -> list[str]:
        lines = [
            *self.values.lines("for_each", step.items),
            self._setting(step, "as", step.variable.text),
            self._setting(step, "max_concurrency", data(step.max_concurrency)),
            self._setting(step, "max_failures", data(step.max_failures)),
        ]
        size = step.batch_size
        lines.append(remark("no batch_size: one by one") if size is None else setting("batch_size", data(size)))
        lines += self.block("do", step.body)
        return lines + (self.values.lines("collect", step.collect) if step.collect is not None else [])

    @verb.register
    def _(self, step: model.RepeatStep) -> list[str]:
        return [
            *self.values.guard(step.kind, step.condition),
            setting("max_iterations", data(step.max_iterations)),
            self._setting(step, "interval", duration(step.interval)),
            *self.block("do", step.body),
        ]

    @verb.register
    def _(self, step: model.ParallelStep) -> list[str]:
        branches = [
            line
            for steps in step.branches
            for line in item(self.step(steps[0]) if len(steps) == 1 else self.block("do", steps))
        ]
        limit = step.max_concurrency
        return [
            *(["parallel:", *nested(branches)] if branches else ["parallel: []"]),
            remark("max_concurrency: all") if limit is None else setting("max_concurrency", data(limit)),
            self._setting(step, "fail_fast", data(step.fail_fast)),
        ]


def _parameters(operation: Operation, given: set[str]) -> list[str]:
    """The parameters that the step leaves to the task, in a remark: to give them would be another call."""
    left = {
        each.name: "***" if each.secret and each.default else each.default
        for each in operation.spec.parameters
        if not each.required and each.name not in given
    }
    if not left:
        return []
    return [remark("inputs left to the task: " + ", ".join(f"{name}: {_shown(value)}" for name, value in left.items()))]


def _shown(value: object) -> str:
    try:
        return data(value)
    except TypeError:  # a default of a user's task may be any object
        return str(value)
