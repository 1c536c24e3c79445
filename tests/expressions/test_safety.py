"""No way out, no surprise, no endless work: whatever the text and the data."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.expressions.helpers import Outside, Refused, World, compiled, evaluate

from flowlang.expressions import ExpressionError, explain, parse_condition, parse_template

WORLD: dict[str, Any] = {"o": {"k": [1, "a", None], "s": "text"}, "n": 3, "l": [1, 2, 3], "s": "héllo", "none": None}

DUNDERS = (
    "__class__ __mro__ __bases__ __base__ __subclasses__ __globals__ __builtins__ __init__ __dict__ __getattribute__ "
    "__import__ __code__ __closure__ __self__ __func__ __module__ __reduce__ __getitem__ __format__ __doc__ __wrapped__ "  # noqa: E501
    "_module _fn_len _look _add _Work _marks b f x v1 mro func_globals gi_frame f_back f_globals cr_frame tb_frame "
    "format format_map constructor prototype __proto__ self request config lipsum cycler joiner namespace"
).split()
ATTACKS = [
    "''.__class__.__mro__[1].__subclasses__()",
    "[].__class__.__base__",
    "().__class__",
    "{}.__class__.__bases__[0]",
    "(1).__class__",
    "__import__('os').system('id')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd').read()",
    "globals()",
    "getattr(o, 'k')",
    "type(o)",
    "'{0.__class__}'.format(o)",
    "'%s' % o",
    "[x for x in ().__class__.__base__.__subclasses__()]",
    "(lambda: 1)()",
    "[c for c in [1] if (y := c)]",
    "f'{o.__class__}'",
    "f'{7*7}'",
    "print(1)",
    "breakpoint()",
    "help()",
    "self.__init__.__globals__",
    "request.application.__globals__",
    "config.items()",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "T(java.lang.Runtime).getRuntime().exec('id')",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{7*7}}",
    "{%import os%}",
    "[].append.__self__",
    "len.__self__",
    "has.__globals__",
    "(await x)",
    "(yield)",
    "*o",
    "**o",
    "o := 1",
    "...",
    "__debug__",
    "1j",
    "b'a'",
    "$(id)",
    "`id`",
]
ROOTS = ["o", "n", "l", "s", "none", "o.k", "'a'", "[]", "{}", "1", "len", "missing"]
ESCAPES = [*ATTACKS, *(f"{root}.{name}" for root, name in itertools.product(ROOTS, DUNDERS))]
ESCAPES += [f'{root}["{name}"]' for root, name in itertools.product(ROOTS[:6], DUNDERS)]
ESCAPES += [f"{name}(o)" for name in DUNDERS] + DUNDERS


def outcome(text: str, *, condition: bool = True) -> Any:
    """The value of `text`, or what stopped it; fails on anything unexpected."""
    world = World(**WORLD)
    try:
        run = compiled(text, world, condition=condition)
    except Refused as refused:
        return refused.problems[0].code
    try:
        return run(world.frame, Outside())
    except (ExpressionError, LookupError, TypeError, ArithmeticError, ValueError) as error:
        fault = explain(run, error, world.frame)
        assert fault.message
        assert 0 <= fault.start <= fault.end <= len(text)
        return type(error).__name__


@pytest.mark.parametrize("payload", ESCAPES)
def test_no_payload_reaches_python(payload: str) -> None:
    found = outcome("${" + payload + "}", condition=False)
    assert isinstance(found, str)  # the code of a finding, or the name of an error: never a value


PIECES = (
    "o n l s none missing .k .s [0] ['k'] [1:] [ ] ( ) { } : , . + - * / // % == != < > <= >= and or not in if else for x "  # noqa: E501
    "for x in l 'a' \"b\" 1 2.5 true null len( json( default( has( sum( sorted( range( ${ } $${ $ & | ! = ** ; # \\ \n "
    "é 日本 \ud800 \x00 _x __class__ lambda is f'{o}' r'\\d' 1e5 0x1 items( key= now() uuid() 99999999999999999999 "
).split(" ")


@settings(max_examples=600, database=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(["", " "]), st.booleans())
def test_any_mixture_of_tokens_is_computed_or_refused(pieces: list[str], glue: str, condition: bool) -> None:
    text = glue.join(pieces)
    outcome(text if condition else "${" + text + "}", condition=condition)


@settings(max_examples=400, database=None)
@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_positions_inside_it(text: str) -> None:
    for parse in (parse_template, parse_condition):
        for problem in parse(text)[1]:
            assert 0 <= problem.start <= problem.end <= len(text) + 1
            assert problem.message


TEN = "[0,1,2,3,4,5,6,7,8,9]"
BOMBS = [
    "[1 " + " ".join(f"for a{i} in range(100)" for i in range(6)) + "]",
    "[[[[[1 for a in l] for b in l] for c in l] for d in l] for e in l]".replace("in l", "in range(200)"),
    "[x for x in range(1000) for y in range(1000) for z in []]" + " + [y for y in range(9999999)]",
    "sum([sum(range(1000)) for x in range(100000)])",
    "[x + x for x in [y + y for y in [z + z for z in [big]]] for w in range(100000)]",
    "[upper(big) for x in range(100000)]",
    "[big == other for x in range(100000)]",
    "[x in numbers for x in numbers]",
    "[numbers == copy for x in numbers]",
    "[sorted(numbers) for x in numbers]",
    "[numbers[1:] for x in numbers]",
    "[x for x in numbers if matches(big, '(a+)+$')]",
    "[unique(numbers) for x in numbers]",
    "replace(replace(replace(replace(big, 'a', 'aaaaaaaaaa'), 'a', 'aaaaaaaaaa'), 'a', 'aaaaaaaaaa'), 'a', 'aaaaaaaaaa')",  # noqa: E501
    "json([json([json(big), json(big), json(big), json(big)]) for x in range(100)])",
    " * ".join(["huge"] * 20),
    "[a*a for a in [b*b for b in [c*c for c in [d*d for d in [e*e for e in [huge]]]]]]",
    "str(decimal('1E+999999'))",
    "int(decimal('1E+999999'))",
    "round(decimal('1E+999999'))",
    "join([big for x in range(1000)], big)",
]
BOMBS.append("[0]")
for _ in range(9):
    BOMBS[-1] = "[[x" + ", x" * 29 + "] for x in " + BOMBS[-1] + "]"


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.timeout(10)
def test_endless_work_stops_at_the_budget_with_the_same_error_each_time(text: str) -> None:
    values = {"l": [1], "numbers": list(range(20_000)), "copy": list(range(20_000)), "big": "a" * 100_000,
              "other": "a" * 99_999 + "b", "huge": 2**4_000}  # fmt: skip
    messages = []
    for _ in range(2):
        with pytest.raises(ExpressionError) as raised:
            evaluate("${" + text + "}", **values)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


@pytest.mark.timeout(10)
def test_a_pattern_that_backtracks_elsewhere_is_linear_here() -> None:
    assert evaluate("${matches(v, '^(a+)+$')}", v="a" * 1_000_000 + "!") is False


def test_ordinary_work_on_much_data_fits_the_budget() -> None:
    rows = [{"id": n, "ok": n % 2 == 0} for n in range(100_000)]
    assert len(evaluate("${[{'n': r.id} for r in rows if r.ok]}", rows=rows)) == 50_000


class Trap:
    """An object whose attributes must never be touched by an expression."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"an expression reached the attribute {name}")


@pytest.mark.parametrize(
    "text", ["${v.name}", "${v['name']}", "${v + 1}", "x${v}", "${default(v.name, 1)}", "${v[0]}", "${len(v)}"]
)
def test_a_dot_never_reads_an_attribute(text: str) -> None:
    with pytest.raises((ExpressionError, TypeError)):
        evaluate(text, v=Trap())
