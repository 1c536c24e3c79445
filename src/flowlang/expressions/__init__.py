"""Text inside `${…}`: parsed with positions, typed before the run, compiled to Python functions.

    template, problems = parse_template("Hello ${inputs.name}!")
    inference = infer_template(template, names)
    unit = Unit()
    evaluate = unit.function(unit.template(template, scalar, inference), "greeting")
    evaluate(frame, fiber)          # "Hello Ada!"

When `evaluate` raises, `explain(evaluate, error, frame)` says which part of the text failed and what it read.
"""

from __future__ import annotations

from flowlang.expressions.faults import ExpressionFault, explain
from flowlang.expressions.functions import FUNCTIONS, Function, Parameter
from flowlang.expressions.infer import Binding, Inference, Names, infer, infer_condition, infer_template
from flowlang.expressions.lower import Where
from flowlang.expressions.narrowing import proven
from flowlang.expressions.parser import parse_condition, parse_template
from flowlang.expressions.runtime import UNSET, ExpressionError, Fiber, Ident, SkippedRead
from flowlang.expressions.syntax import Expression, Problem, Template
from flowlang.expressions.tokens import RESERVED
from flowlang.expressions.unit import Code, Evaluator, Unit

__all__ = [
    "FUNCTIONS",
    "RESERVED",
    "UNSET",
    "Binding",
    "Code",
    "Evaluator",
    "Expression",
    "ExpressionError",
    "ExpressionFault",
    "Fiber",
    "Function",
    "Ident",
    "Inference",
    "Names",
    "Parameter",
    "Problem",
    "SkippedRead",
    "Template",
    "Unit",
    "Where",
    "explain",
    "infer",
    "infer_condition",
    "infer_template",
    "parse_condition",
    "parse_template",
    "proven",
]
