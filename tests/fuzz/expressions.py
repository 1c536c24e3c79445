"""Bytes → an expression that is computed or refused. `python -m tests.fuzz.expressions [libFuzzer options] CORPUS`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["flowlang"]):
    from tests.expressions.helpers import Outside, Refused, World, compiled

    from flowlang.expressions import ExpressionError, explain

VALUES = {"o": {"k": [1, "a", None], "s": "text"}, "n": 3, "l": [1, 2, 3], "s": "héllo", "none": None, "yes": True}


def survives(data: bytes) -> None:
    """Any text: refused with positions inside it, computed within the budget, or failed with a placed error."""
    text = data.decode("utf-8", "replace")
    for condition in (True, False):
        world = World(**VALUES)
        try:
            run = compiled(text, world, condition=condition)
        except Refused as refused:
            inside = [0 <= each.start <= each.end <= len(text) + 1 and bool(each.message) for each in refused.problems]
            _must(all(inside))
            continue
        try:
            run(world.frame, Outside())
        except (ExpressionError, LookupError, TypeError, ArithmeticError, ValueError) as error:
            fault = explain(run, error, world.frame)
            _must(bool(fault.message) and 0 <= fault.start <= fault.end <= len(text))


def _must(true: bool) -> None:
    assert true


if __name__ == "__main__":
    atheris.Setup(sys.argv, survives)
    atheris.Fuzz()
