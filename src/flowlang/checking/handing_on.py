"""Loops that only hand each batch of a stream to one task: there rows may stay a table all the way."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flowlang.checking.checker import Checker
from flowlang.checking.rules.task_parameters import FILE
from flowlang.document import model
from flowlang.document.walk import expressions
from flowlang.plan import Call, Modified, Step


def hands_on(checker: Checker, step: model.ForEachStep, body: Sequence[Step]) -> bool:
    """Whether the loop names its batch once, whole, as an argument that its only task takes as a table."""
    if step.batch_size is None or len(step.body) != 1 or len(body) != 1:
        return False
    written, planned = step.body[0], body[0]
    call = planned.body if isinstance(planned, Modified) else planned
    if not isinstance(written, model.TaskStep) or not isinstance(call, Call):
        return False
    arguments = {name.text: value for name, value in written.arguments}
    if written.modifiers.cache is not None or FILE in arguments:  # both read what the expressions here do not show
        return False
    name = step.variable.text
    parameters = checker.operations[call.operation].spec.parameters
    taken = [each.name for each in parameters if each.tables and _is(arguments.get(each.name), name)]
    named = re.compile(rf"\b{name}\b")
    mentions = [each for part in (written, step.collect) for each in expressions(part) if named.search(each.source)]
    return len(taken) == len(mentions) == 1


def _is(value: model.Value | None, name: str) -> bool:
    whole = value.template.whole if isinstance(value, model.Computed) else None
    return whole is not None and whole.path == (name,)
