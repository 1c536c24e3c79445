"""The table of functions: every row documented, every example true, every argument checked."""

from __future__ import annotations

import contextlib
import inspect
import json
from typing import Any

import pytest
from tests.expressions.helpers import evaluate

from flowlang.expressions import FUNCTIONS, ExpressionError, Function

TABLE = (
    "len str int float bool round min max sum sorted abs any all keys values items join split lower upper strip replace "  # noqa: E501
    "starts_with ends_with matches contains default has coalesce json from_json now uuid random parse_time format_time "
    "duration decimal base64 hash flatten unique group_by zip range merge pick omit ident"
)


def test_the_table_holds_what_the_language_names() -> None:
    assert set(FUNCTIONS) == set(TABLE.split())


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda each: each.name)
def test_the_example_of_a_function_is_true(function: Function) -> None:
    assert json.loads(evaluate("${json(" + function.example + ")}")) == json.loads(function.result)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda each: each.name)
def test_a_function_is_documented_and_called_as_documented(function: Function) -> None:
    assert function.summary.endswith(".")
    assert f"{function.name}(" in function.example
    if function.reads is None:
        taken = inspect.signature(function.call).parameters
        assert {each.name for each in function.parameters if each.optional} <= set(taken)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda each: each.name)
@pytest.mark.parametrize("value", [None, 1, 1.5, "a", True, [], [None], {}, {"a": 1}, b"x", object(), {1}, float("nan"), 10**400, "\ud800"], ids=lambda each: type(each).__name__)  # fmt: skip  # noqa: E501
def test_wrong_values_give_an_expression_error_and_nothing_else(function: Function, value: Any) -> None:
    if function.reads is not None:
        return
    required = [each for each in function.parameters if not each.optional]
    for size in range(len(required), len(function.parameters) + 1):
        arguments = ", ".join(["v"] * size)
        with contextlib.suppress(ExpressionError):
            evaluate("${" + f"{function.name}({arguments})" + "}", v=value)


RESULTS = [
    ("int(' -7 ')", -7),
    ("int(-2.9)", -2),
    ("round(2.5)", 2),
    ("round(7, -1)", 10),
    ("bool('False')", False),
    ("min('b', 'a')", "a"),
    ("sorted([2, 1, 3], reverse=true)", [3, 2, 1]),
    ("sorted(list=[2, 1])", [1, 2]),
    ("replace(text='aXa', new='-', old='X')", "a-a"),
    ("split('a b  c')", ["a", "b", "c"]),
    ("split('a,b,c', ',', 1)", ["a", "b,c"]),
    ("strip('xxaxx', 'x')", "a"),
    ("coalesce(null, null)", None),
    ("flatten([[1], [[2]], 3])", [1, [2], 3]),
    ("unique([{'a': 1, 'b': 1}, {'a': 1, 'b': 2}], key='a')", [{"a": 1, "b": 1}]),
    ("unique([1, true, 1, '1'])", [1, True, "1"]),
    ("group_by([{'g': 'x', 'n': 1}], 'g')", [{"key": "x", "items": [{"g": "x", "n": 1}]}]),
    ("range(3, 0, -1)", [3, 2, 1]),
    ("merge({'a': 1}, {'a': 2}, {})", {"a": 2}),
    ("pick({'a': 1, 'b': 2}, ['a', 'z'])", {"a": 1}),
    ("hash('abc', 'md5')", "900150983cd24fb0d6963f7d28e17f72"),
    ("str(duration('PT1M30S'))", "PT1M30S"),
    ("str(duration(90))", "PT1M30S"),
    ("format_time(parse_time('01.02.2026', '%d.%m.%Y'))", "2026-02-01T00:00:00"),
    ("from_json('{\"a\": [1.5, null]}')", {"a": [1.5, None]}),
    ("json({'a': 1}, indent=1)", '{\n "a": 1\n}'),
    ("matches('line', r'(?i)LINE')", True),
    ("matches('x', r'^\\d')", False),
    ("sum([duration('1m'), duration('30s')]) == duration('90s')", True),
    ("str(sum([decimal('0.1'), decimal('0.2')]))", "0.3"),
]


@pytest.mark.parametrize(("text", "value"), RESULTS)
def test_a_function_gives_its_result(text: str, value: Any) -> None:
    assert evaluate("${" + text + "}") == value


ERRORS = [
    ("int('1_000')", "digits"),
    ("int('x')", "digits"),
    ("bool('yes')", "bool"),
    ("min([])", "empty"),
    ("min(from_json('[1, \"a\"]'))", "integer and string"),
    ("sum([1, 'a'])", "string"),
    ("any([1])", "true or false"),
    ("join([null])", "null"),
    ("split('a', '')", "empty"),
    ("sorted([{'a': 1}])", "key"),
    ("sorted([{'a': 1}], key='b')", "no `b`"),
    ("zip([1], [])", "one length"),
    ("range(0, 10, 0)", "0"),
    ("range(9999999)", "1,000,000"),
    ("matches('a', '(?<=a)b')", "pattern"),
    ("matches('a', '(')", "pattern"),
    ("json(float('1e308') * 10)", "infinity"),
    ("from_json('{')", "line 1"),
    ("from_json('NaN')", "NaN"),
    ("parse_time('yesterday')", "ISO 8601"),
    ("format_time(parse_time('2026-01-01'), '%')", "format"),
    ("duration('5 parsecs')", "250ms"),
    ("base64('%%', decode=true)", "base64"),
    ("hash('a', 'crc')", "sha256"),
    ("ident('')", "empty"),
    ("from_json('[' + '1') ", "JSON"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_what_cannot_be_computed_says_why(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message.replace("(", r"\(")):
        evaluate("${" + text + "}")


def test_json_is_always_json() -> None:
    for value in (float("inf"), object(), {1: 2}, "\ud800", decimal_nan()):
        with pytest.raises(ExpressionError):
            evaluate("${json(v)}", v=value)


def decimal_nan() -> object:
    import decimal

    return decimal.Decimal("NaN")
