"""Expressions of one shape share their code, and nothing else: not their names, keys, texts, places or kinds."""

from __future__ import annotations

import pytest
from tests.expressions.helpers import evaluate

DATA = {"a": {"n": 1, "t": "one"}, "b": {"n": 2, "t": "two"}, "c": "a", "d": "b", "x": 3, "y": 4.5}

PAIRS = [
    ("${a.n}", 1, "${b.t}", "two"),
    ("${a.n + x}", 4, "${b.n + y}", 6.5),
    ('${c == "a"}', True, '${d == "c"}', False),
    ("n: ${a.n}", "n: 1", "t: ${b.t}", "t: two"),
    ("${[a.n + i for i in [x]]}", [4], "${[b.n + i for i in [y]]}", [6.5]),
    ("${default(a.z, x)}", 3, "${default(b.z, y)}", 4.5),
    ("${a.n > 1 and x > 1}", False, "${b.n > 1 and y > 1}", True),
    ("${[x, 1, 1]}", [3, 1, 1], "${[y, 1, 1]}", [4.5, 1, 1]),
    ("${{'k': x, 'l': a.n}}", {"k": 3, "l": 1}, "${{'k': y, 'l': b.n}}", {"k": 4.5, "l": 2}),
    ("${x - x}", 0, "${x - y}", -1.5),
]


@pytest.mark.parametrize(("first", "one", "second", "other"), PAIRS)
def test_each_of_two_expressions_of_one_shape_has_its_own_value(
    first: str, one: object, second: str, other: object
) -> None:
    for text, wanted in ((first, one), (second, other), (first, one)):
        found = evaluate(text, **DATA)
        assert (found, type(found)) == (wanted, type(wanted))
