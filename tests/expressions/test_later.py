"""A function is compiled when it is first called, and is then what it would have been at once."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from types import FunctionType
from typing import Any

import pytest
from tests.expressions.helpers import Outside, Scalar, World

from flowlang.expressions import ExpressionError, Unit, explain, infer_template, parse_template
from flowlang.expressions.unit import Code


def later(text: str, world: World, made: list[str] | None = None) -> Any:
    template, _ = parse_template(text)
    inference = infer_template(template, world)

    def recipe(unit: Unit) -> Code:
        if made is not None:
            made.append(text)
        return unit.call(str, [unit.call(_pair, [unit.shared(text), unit.template(template, Scalar(), inference)])])

    return Unit.later(recipe, "later")


def _pair(text: str, value: object) -> tuple[str, object]:
    return text, value


def test_nothing_is_compiled_before_the_first_call_and_all_once() -> None:
    made: list[str] = []
    world = World(a={"b": 1})
    evaluate = later("${a.b}", world, made)
    assert made == []
    assert [evaluate(world.frame, Outside()) for _ in range(3)] == [str(("${a.b}", 1))] * 3
    assert made == ["${a.b}"]


def test_many_threads_may_call_a_function_for_the_first_time() -> None:
    world, wrong = World(a=[*range(50)]), []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(200):
            made: list[str] = []
            evaluate = later(f"${{a[{number % 50}] + {number}}}", world, made)
            start = threading.Barrier(4)
            wanted = str((f"${{a[{number % 50}] + {number}}}", number % 50 + number))

            def call(evaluate: Any = evaluate, start: threading.Barrier = start, wanted: str = wanted) -> None:
                start.wait()
                found = [evaluate(world.frame, Outside()) for _ in range(3)]
                if found != [wanted] * 3:
                    wrong.append(found)

            threads = [threading.Thread(target=call) for _ in range(4)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert len(made) == 1
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_what_fails_at_the_first_call_is_explained_as_at_any_other() -> None:
    world = World(a={"b": 1})
    evaluate = later("x ${a.c}", world)
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            evaluate(world.frame, Outside())
        fault = explain(evaluate, caught.value, world.frame)
        assert (fault.start, fault.end, fault.message) == (6, 7, "`a` has no key `c`")


def test_what_fails_by_a_rule_of_the_language_does_so_at_the_first_call() -> None:
    world = World(a="text")
    evaluate = later("${a * 2}", world)
    for _ in range(2):
        with pytest.raises(ExpressionError):
            evaluate(world.frame, Outside())


@pytest.mark.parametrize("called", [False, True])
def test_a_function_is_freed_with_its_last_holder(called: bool) -> None:
    world = World(a=1)
    evaluate = later("${a}", world)
    if called:
        evaluate(world.frame, Outside())
    seen: weakref.ref[FunctionType] = weakref.ref(evaluate)
    gc.disable()
    try:
        del evaluate
        assert seen() is None
    finally:
        gc.enable()
