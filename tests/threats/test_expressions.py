"""Expressions made from the whole grammar: the value is what Python gives, or there is a refusal that says why."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.expressions.helpers import Outside, Refused, World, compiled

from flowlang.expressions import ExpressionError

VALUES: dict[str, Any] = {
    "n": 7,
    "m": -3,
    "f": 2.5,
    "s": "text",
    "e": "",
    "l": [3, 1, 2],
    "w": ["b", "a"],
    "d": {"k": 1, "x": "y"},
    "yes": True,
    "no": False,
    "nothing": None,
}
FUNCTIONS = {"len": len, "sum": sum, "max": max, "min": min, "abs": abs, "sorted": sorted, "any": any, "all": all}
WORDS = {"true": True, "false": False, "null": None}
LEAVES = st.one_of(
    st.sampled_from([*VALUES, *WORDS]),
    st.integers(-20, 20).map(str),
    st.sampled_from(["0.5", "1e3", "'a'", '"b c"', "[]", "{}", "''", "d['k']", "l[0]", "l[-1]", "s[1:]", "l[:2]"]),
)


def _binary(signs: str) -> Any:
    return st.sampled_from(signs.split())


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, _binary("+ - * / // % == != < <= > >= and or in"), inner)
    return st.one_of(
        two.map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, inner).map(lambda t: f"({t[0]} not in {t[1]})"),
        inner.map(lambda e: f"(not {e})"),
        inner.map(lambda e: f"(-{e})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} < {t[1]} <= {t[2]})"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(inner, inner).map(lambda t: f"{{'k': {t[0]}, 'x': {t[1]}}}"),
        st.tuples(inner, inner).map(lambda t: f"[{t[0]} for i in {t[1]} if i]"),
        st.tuples(inner, inner).map(lambda t: f"[i for i in {t[0]} if i != {t[1]}]"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
    )


@settings(max_examples=600, database=None)
@given(st.recursive(LEAVES, _grow, max_leaves=12))
def test_a_value_is_the_one_python_gives(text: str) -> None:
    """Never another value than Python's; where the language is stricter (no truthiness, no `%` on text, …) it refuses
    before the run, or fails with an error of its own kind."""
    world = World(**VALUES)
    try:
        run = compiled("${" + text + "}", world)
    except Refused:
        return
    try:
        found = run(world.frame, Outside())
    except (ExpressionError, LookupError, TypeError, ArithmeticError, ValueError):
        return
    wanted = eval(text, {"__builtins__": {}, **FUNCTIONS, **WORDS, **VALUES})
    assert found == wanted
    assert type(found) is type(wanted)
