"""Expressions of one shape share their code, and nothing else: not their names, keys, texts, places or kinds."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from tests.expressions.helpers import Outside, Refused, Scalar, World, compiled, evaluate, root

from flowlang.expressions import Binding, ExpressionError, Unit, explain, infer_template, parse_template, unit
from flowlang.expressions.types import ANY, BOOLEAN, INTEGER, STRING, Type, array

DATA = {"a": {"n": 1, "t": "one"}, "b": {"n": 2, "t": "two"}, "c": "a", "d": "b", "x": 3, "y": 4.5, "l": [1, 2]}

PAIRS = [
    ("${a.n}", 1, "${b.t}", "two"),
    ("${a}", DATA["a"], "${a.n}", 1),
    ("${a.n + x}", 4, "${b.n + y}", 6.5),
    ("${a.n + x}", 4, '${a["n"] + x}', 4),
    ("${a.n == 1}", True, "${a.t == 1}", False),
    ('${c == "a"}', True, '${d == "c"}', False),
    ("n: ${a.n}", "n: 1", "t: ${b.t}", "t: two"),
    ("${[a.n + i for i in [x]]}", [4], "${[b.n + i for i in [y]]}", [6.5]),
    ("${default(a.z, x)}", 3, "${default(b.z, y)}", 4.5),
    ("${default(a.n, x)}", 1, "${has(a.n)}", True),
    ("${has(a.n)}", True, "${has(b.z)}", False),
    ("${a.n > 1 and x > 1}", False, "${b.n > 1 and y > 1}", True),
    ("${a.n > 1 and x > 1}", False, "${a.n > 1 or x > 1}", True),
    ("${[x, 1, 1]}", [3, 1, 1], "${[y, 1, 1]}", [4.5, 1, 1]),
    ("${[x, 1]}", [3, 1], "${[x, 1.0]}", [3, 1.0]),
    ("${[x, 1]}", [3, 1], "${[x, true]}", [3, True]),
    ("${{'k': x, 'l': a.n}}", {"k": 3, "l": 1}, "${{'k': y, 'l': b.n}}", {"k": 4.5, "l": 2}),
    ("${{'k': x}}", {"k": 3}, "${['k', x]}", ["k", 3]),
    ("${x - x}", 0, "${x - y}", -1.5),
    ("${x - y}", -1.5, "${y - x}", 1.5),
    ("${x - y - x}", -4.5, "${x - y - y}", -6.0),
    ("${[x for e in l]}", [3, 3], "${[e for e in l]}", [1, 2]),
    ("${[[i for e in l] for i in l]}", [[1, 1], [2, 2]], "${[[e for e in l] for i in l]}", [[1, 2], [1, 2]]),
    ("${len([i for i in l])} ${x}", "2 3", "${x} ${len([i for i in l])}", "3 2"),
    ("${[i for i in l]}", [1, 2], "${[[j for j in [i]] for i in l]}", [[1], [2]]),
]


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """The first of a pair has to be the first of its shape."""
    forget()


def forget() -> None:
    unit._FORMS.clear()
    unit._SIZES.clear()


@pytest.mark.parametrize(("first", "one", "second", "other"), [*PAIRS, *((c, d, a, b) for a, b, c, d in PAIRS)])
def test_each_of_two_expressions_has_its_own_value(first: str, one: object, second: str, other: object) -> None:
    for text, wanted in ((first, one), (second, other), (first, one)):
        found = evaluate(text, **DATA)
        assert repr(found) == repr(wanted)  # 1 == 1.0 == True


def test_a_condition_is_a_boolean_also_when_it_was_a_value_before() -> None:
    assert evaluate("${x + 1}", x=3) == 4
    with pytest.raises(ExpressionError):
        evaluate("x + 1", condition=True, x=3)
    assert evaluate("${x + 1}", x=3) == 4


def test_constants_that_are_equal_to_python_are_not_the_same() -> None:
    for values in (["1", 1], [1, True], [1, 1.0], [0, False], [True, 1], [1.0, 1], [None, 0], [1, "1"]):
        for whole in (
            values,
            {"k": values},
            dict(zip("ab", values, strict=True)),
            {"a": values[0]},
            {"b": values[0]},
            *values,
        ):
            one = Unit()
            assert repr(one.function(one.constant(whole), "f")(None, None)) == repr(whole)


# ---------------------------------------------------------------- the same text, in another world

KINDS = [
    ("${a and b}", (BOOLEAN, True), (ANY, 1)),
    ("${a and b}", (BOOLEAN, False), (ANY, None)),
    ("${1 if a else 2}", (BOOLEAN, True), (ANY, "yes")),
    ("${not a}", (BOOLEAN, True), (ANY, "yes")),
    ("${a != null and a}", (BOOLEAN, True), (BOOLEAN.or_null(), None)),
    ("${a + b}", (INTEGER, 2), (ANY, True)),
    ("${a - b}", (INTEGER, 2), (ANY, True)),
    ("${a / b}", (INTEGER, 2), (ANY, True)),
]


@pytest.mark.parametrize(("text", "known", "other"), KINDS)
@pytest.mark.parametrize("known_first", [True, False])
def test_what_is_checked_when_it_runs_depends_on_what_is_known(
    text: str, known: tuple[Type, object], other: tuple[Type, object], known_first: bool
) -> None:
    worlds = [_both(*each) for each in ((known, other) if known_first else (other, known))]
    alone = []
    for world in worlds:
        forget()
        alone.append(outcome(text, world))
    forget()
    assert [outcome(text, world) for world in worlds] == alone
    assert alone[0] != alone[1]


def _both(type_: Type, value: object) -> World:
    return World({"a": root(type_), "b": root(type_)}, a=value, b=value, l=[1])


@pytest.mark.parametrize("nullable_first", [True, False])
def test_what_fails_is_found_at_its_place_whatever_the_one_before_was_known_to_be(nullable_first: bool) -> None:
    for nullable in (nullable_first, not nullable_first):
        type_ = BOOLEAN.or_null() if nullable else BOOLEAN
        found = outcome("${a != null and a and b.n == 1}", World({"a": root(type_)}, a=True, b={}))
        assert "start=24, end=25, message='`b` has no key `n`'" in found


@pytest.mark.parametrize("text", ["${a}", "${a + 0}", "${[a for i in [1]]}", "${default(a, 0)}"])
def test_a_name_is_read_from_the_frame_and_the_place_where_it_stands(text: str) -> None:
    outer = [None, 10, 20]
    frame = [[None, 1, 2], 3, 4]
    frame[0][0] = outer  # type: ignore[index]
    places = {(0, 1): 3, (0, 2): 4, (1, 1): 1, (1, 2): 2, (2, 1): 10, (2, 2): 20}
    for (depth, slot), wanted in [*places.items(), *reversed(places.items())]:
        world = World({"a": replace(root(INTEGER), depth=depth, slot=slot)})
        found = compiled(text, world)(frame, Outside())
        assert found == ([wanted] if isinstance(found, list) else wanted)


@pytest.mark.parametrize("secret_first", [True, False])
def test_a_secret_is_not_told_because_code_was_made_for_what_is_none(secret_first: bool) -> None:
    for secret in (secret_first, not secret_first):
        type_ = replace(STRING, secret=secret)
        world = World({"a": root(ANY if not secret else replace(ANY, secret=True)), "b": root(type_)}, a={}, b="hush")
        template, _ = parse_template("${a[b]}")
        one = Unit()
        run = one.function(one.template(template, Scalar(), infer_template(template, world)), "f")
        with pytest.raises(KeyError) as caught:
            run(world.frame, None)
        fault = explain(run, caught.value, world.frame)
        assert ("hush" in repr(fault)) is not secret


# ---------------------------------------------------------------- at random

FORMS = """
{0} and {1}|{0} or not {1}|{0} if {1} else {2}|{0} + {1}|{0} - {1} * {2}|{0} / {1}|{0} == {1}|{0} < {1}|-{0}|{0}.n
|{0}.n + {1}.n|{0}[{1}]|[{0}, {1}]|{{'k': {0}, 'l': {1}}}|[i + {0} for i in {1}]|[{0} for i in {1} if i == {2}]
|[[j for j in {0}] for i in {1}]|[e for i in {1} for e in [{0}]]|[a for e in {0}]|[e for e in {0}]
|default({0}.n, {1})|has({0}.n)|len({0})|str({0})|{0} in {1}|{0} == 1|{0} == true|{0} == 1.0|{0} == '1'
|[{0}, 1, true, 1.0]|{0} != null and {0}
|sum([i * {0} for i in {1}])|[{0} + j for i in {1} for j in [i]]
""".replace("\n", "").split("|")
VALUES: list[tuple[Type, Any]] = [
    (INTEGER, 3), (ANY, 3), (INTEGER, 0), (BOOLEAN, True), (ANY, True), (ANY, 1.0), (STRING, "n"), (ANY, "n"),
    (array(INTEGER), [1, 2]), (ANY, [1, 2]), (ANY, {"n": 1}), (Type("object"), {"n": 2}), (ANY, None),
    (BOOLEAN.or_null(), None), (INTEGER.or_null(), 5), (array(ANY), [True, 1]),
]  # fmt: skip


def outcome(text: str, world: World) -> str:
    """What comes of `text`: its value, or why there is none."""
    try:
        run = compiled(text, world)
    except Refused:
        return "refused"
    try:
        return repr(run(world.frame, Outside()))
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same each time
        return repr(replace(explain(run, error, world.frame), where=None))


def some_text(chance: random.Random) -> str:
    def one() -> str:
        names = [chance.choice("abcd") for _ in range(3)]
        return "${" + chance.choice(FORMS).format(*names) + "}"

    return chance.choice(("{}", "{} and {}", "x{}")).replace("{}", "%s").replace("%s", one(), 1).replace("%s", one())


def some_world(chance: random.Random) -> World:
    bindings: dict[str, Binding] = {}
    frames: list[list[Any]] = [[None], [None]]
    for name in chance.sample("abcd", 4):
        type_, value = chance.choice(VALUES)
        depth = chance.randrange(2)
        bindings[name] = Binding(type_, f"`{name}`", depth=depth, slot=len(frames[depth]))
        frames[depth].append(value)
    world = World(bindings)
    frames[0][0] = frames[1]
    world.frame = frames[0]
    return world


@pytest.mark.parametrize("seed", range(12))
def test_in_any_order_an_expression_has_the_value_that_it_has_alone(seed: int) -> None:
    chance = random.Random(seed)
    cases = [(some_text(chance), some_world(chance)) for _ in range(150)]
    alone = []
    for text, world in cases:
        forget()
        alone.append(outcome(text, world))
    forget()
    order = chance.sample(range(len(cases)), len(cases)) * 2
    assert [(each, outcome(*cases[each])) for each in order] == [(each, alone[each]) for each in order]
    assert sum(each != "refused" for each in alone) > 50
