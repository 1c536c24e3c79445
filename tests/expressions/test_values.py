"""What expressions give: the same as Python where the two share a form, and what the language says elsewhere."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.expressions.helpers import Outside, Refused, World, compiled, evaluate, root

from flowlang.expressions import UNSET, ExpressionError, Ident, SkippedRead
from flowlang.expressions.types import STRING, record

UTC = datetime.UTC
DATA: dict[str, Any] = {
    "n": 7, "x": 2.5, "s": "héllo", "l": [3, 1, 2], "o": {"k": {"from": [10, 20]}, "a-b": 1, "_id": 5}, "yes": True,
    "none": None, "d": decimal.Decimal("1E+3"), "t": datetime.datetime(2026, 3, 1, 12, tzinfo=UTC), "b": b"\x00\xff",
    "rows": [{"id": 1, "name": "Ada", "group": "x"}, {"id": 2, "name": "Bob", "group": "y"}],
}  # fmt: skip
VALUES = [
    ("${n}", 7),
    ("${o.k.from[1]}", 20),
    ("${o['a-b'] + o[\"_id\"]}", 6),
    ("${l[-1]}", 2),
    ("${l[1:]}", [1, 2]),
    ("${s[:2]}", "hé"),
    ("${n // 2 + n % 4 - -1}", 7),
    ("${n / 2}", 3.5),
    ("${1 < n <= 7 != 8}", True),
    ("${l + [4]}", [3, 1, 2, 4]),
    ("${s + '!'}", "héllo!"),
    ("${'h' in s and 3 in l and 'k' in o and 9 not in l}", True),
    ("${'big' if n > 5 else 'small'}", "big"),
    ("${not yes or false}", False),
    ("${none == null}", True),
    ("${[r.name for r in rows if r.id > 1]}", ["Bob"]),
    ("${ {r.name: r.id for r in rows} }", {"Ada": 1, "Bob": 2}),
    ("${[u + v for u, v in zip([1, 2], [10, 20])]}", [11, 22]),
    ("${[v for u in [[1], [2, 3]] for v in u]}", [1, 2, 3]),
    ("${sum(r.id for r in rows)}", 3),
    ("${default(o.k.nope.deeper, 'none')}", "none"),
    ("${default(none, 1)}", 1),
    ("${default(l[9], 0)}", 0),
    ("${default(o[s], 0)}", 0),
    ("${has(o.k)}", True),
    ("${has(none)}", False),
    ("${has(o.nope)}", False),
    ("${o.nope if has(o.nope) else 0}", 0),
    ("${t + duration('90m') - t}", datetime.timedelta(minutes=90)),
    ("${r'a\\d'}", "a\\d"),
    ("${'\\u00e9\\n'}", "é\n"),
    ("${matches(s, '^h.llo$')}", True),
    ("${[group.key for group in group_by(rows, 'group')]}", ["x", "y"]),
    ("${json(t)}", '"2026-03-01T12:00:00+00:00"'),
    ("${json([d, b, none, yes])}", '[1000, "AP8=", null, true]'),
    ("n=${n} x=${x} s=${s} yes=${yes} d=${d} t=${t}", "n=7 x=2.5 s=héllo yes=true d=1000 t=2026-03-01T12:00:00+00:00"),
    ("${json(o)}!", '{"k": {"from": [10, 20]}, "a-b": 1, "_id": 5}!'),
    ("${ident('order')}", Ident("order")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_an_expression_gives_its_value(text: str, value: Any) -> None:
    found = evaluate(text, **DATA)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [b"\x00", [1], {"a": 1}, decimal.Decimal("1.10"), uuid.UUID(int=7), object(), (1, 2)])
def test_a_single_expression_passes_the_very_object_on(value: object) -> None:
    assert evaluate("${v.w}", v={"w": value}) is value


@pytest.mark.parametrize("value", [None, b"a", [1], {"a": 1}, object(), UNSET])
def test_text_refuses_what_has_no_plain_text(value: object) -> None:
    with pytest.raises(ExpressionError):
        evaluate("a ${v} b", v=value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime.timedelta(days=1, seconds=0.5), "P1DT0.5S"),
        (datetime.timedelta(minutes=-90), "-PT1H30M"),
        (datetime.timedelta(), "PT0S"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("0.000000001"), "0.000000001"),
        (Ident("t"), "t"),
        (False, "false"),
    ],
)
def test_values_in_text_have_one_form(value: object, text: str) -> None:
    assert evaluate("<${v}>", v=value) == f"<{text}>"


PAYLOADS = ["${1+1}", "$${1+1}", "{{7*7}}", "#{1}", "%(x)s", "{0.__class__}", "\\u0041", "${secrets.k}"]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("form", ["${v}", "a${v}b", "${v + ''}", "${join([v], ',')}", "${default(v, '')}", "${[x for x in [v]][0]}"])  # fmt: skip  # noqa: E501
def test_data_is_never_parsed_again(payload: str, form: str) -> None:
    assert evaluate(form, v=payload) == (f"a{payload}b" if form == "a${v}b" else payload)


@pytest.mark.parametrize("text", ["${v and true}", "${not v}", "${1 if v else 2}", "${[x for x in [1] if v]}"])
@pytest.mark.parametrize("value", [0, 1, "", "a", None, [], [1]])
def test_nothing_but_a_boolean_decides(text: str, value: object) -> None:
    with pytest.raises(ExpressionError, match="boolean"):
        evaluate(text, v=value)


def test_a_condition_that_is_no_boolean_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="boolean"):
        evaluate("v", condition=True, v="true")


def test_what_was_skipped_is_readable_through_default_and_has_only() -> None:
    world = World({"a": root(record({"v": STRING}), "step `a`", state="maybe")}, a=UNSET)
    assert evaluate("${default(a.v, 'x')}", world) == "x"
    assert evaluate("${has(a.v)}", world) is False
    with pytest.raises(Refused, match="may be skipped"):
        evaluate("${a.v}", world)


def test_an_unwritten_slot_raises_on_every_look_up() -> None:
    for text in ("${a.v}", "${a[0]}", "${[x for x in a]}", "${1 in a}"):
        with pytest.raises(ExpressionError):
            evaluate(text, a=UNSET)
    with pytest.raises(SkippedRead):
        evaluate("${a.v}", a=UNSET)


def test_short_circuits_like_python() -> None:
    assert evaluate("${v != null and v.x > 1}", v=None) is False
    assert evaluate("${v == null or v.x > 1}", v=None) is True
    assert evaluate("${0 if v == null else v.x}", v=None) == 0
    assert evaluate("${default(v, 1 / 0)}", v=3) == 3


def test_outside_values_are_read_once_per_evaluation_and_position() -> None:
    world, outside = World(), Outside()
    run = compiled("${[uuid() for n in range(3)] + [uuid()]}", world)
    first = run(world.frame, outside)
    assert len(set(first)) == 2
    assert len(outside.reads) == 2
    assert run(world.frame, outside) != first


def test_constants_are_not_shared_between_evaluations() -> None:
    world = World()
    run = compiled("${ {'a': [1]} }", world)
    first = run(world.frame, Outside())
    first["a"].append(2)
    assert run(world.frame, Outside()) == {"a": [1]}


def test_numbers_stay_what_they_are() -> None:
    assert evaluate("${9007199254740993 + 0}") == 9007199254740993
    assert isinstance(evaluate("${6 / 2}"), float)
    assert evaluate("${decimal('0.1') + decimal('0.2') == decimal('0.3')}") is True


NUMBERS = st.one_of(st.integers(-50, 50).map(str), st.sampled_from(["n", "m", "l[0]", "o.k", "2.5"]))
SHARED = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda e: f"(-{e})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} < {t[2]} else {t[0]})"),
        inner.map(lambda e: f"sum([i * {e} for i in l if i != {e}])"),
        st.tuples(inner, inner).map(lambda t: f"max([{t[0]}, {t[1]}])"),
        inner.map(lambda e: f"abs({e})"),
    ),
    max_leaves=8,
)


@settings(max_examples=250, database=None)
@given(SHARED)
def test_the_shared_subset_means_what_it_means_in_python(text: str) -> None:
    values = {"n": 3, "m": -4, "l": [1, 2, 3]}
    functions = {"sum": sum, "max": max, "abs": abs}
    try:
        wanted: Any = eval(text.replace("o.k", "6"), {"__builtins__": {}, **functions, **values})
    except ZeroDivisionError:
        wanted = ZeroDivisionError
    except OverflowError:
        return
    try:
        found = evaluate("${" + text + "}", o={"k": 6}, **values)
    except ZeroDivisionError:
        found = ZeroDivisionError
    assert found == wanted
    assert type(found) is type(wanted)
