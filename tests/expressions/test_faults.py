"""An error at run time: the part that failed, why, and what it read."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from tests.expressions.helpers import Outside, Scalar, World, compiled, root

from flowlang.expressions import ExpressionFault, Unit, explain, infer_template, parse_template
from flowlang.expressions.types import Type


def fault(text: str, world: World, *, condition: bool = False) -> ExpressionFault:
    run = compiled(text, world, condition=condition)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is what `explain` is about
        run(world.frame, Outside())
    return explain(run, raised.value, world.frame)


DATA: dict[str, Any] = {
    "o": {"x": 1, "name": "Ada", "null": None, "l": [1, 2]},
    "rows": [{"id": 1}, {"id": None}],
    "t": "a",
}
FAULTS = [
    ("${o.nam}", "nam", "`o` has no key `nam`; did you mean `name`?"),
    ("${o.x.y}", "y", "`o.x` is integer, so `y` cannot be looked up in it"),
    ("${o.null.y}", "y", "`o.null` is null, so it has no `y`"),
    ("${o.l[5]}", "5", "item 5 is beyond the end of `o.l`, which has 2"),
    ("${o.l.x}", "x", "`o.l` is array, so `x` cannot be looked up in it"),
    ("${o.x + o.name}", "o.x + o.name", "cannot add integer and string"),
    ("${1 + (o.x - t)}", "o.x - t", "cannot subtract integer and string"),
    ("${o.x < o.name}", "o.x < o.name", "cannot order integer and string"),
    ("${1 / (o.x - 1)}", "1 / (o.x - 1)", "this divides by zero"),
    ("a ${o.x} b ${o.l} c", "o.l", "array cannot be put into text; `json(x)` does it on purpose"),
    ("${[r.id + 1 for r in rows]}", "r.id + 1", "cannot add null and integer"),
    ("${[r.nope for r in rows]}", "nope", "`r` has no key `nope`"),
    ("${o.x and true}", "o.x", "a boolean is needed here, this is integer"),
    ("${lower(o.x)}", "lower(o.x)", "`lower` needs a string, this is integer"),
    ("${o.x in o.x}", "o.x in o.x", "nothing can be looked for in integer"),
    ("${o[o.l]}", "o.l", "`o.l` cannot be a key"),
]


@pytest.mark.parametrize(("text", "part", "message"), FAULTS)
def test_a_fault_names_the_part_and_the_reason(text: str, part: str, message: str) -> None:
    found = fault(text, World(**DATA))
    assert text[found.start : found.end] == part
    assert message in found.message


def test_a_fault_shows_what_the_paths_read() -> None:
    found = fault("${[r.id + o.x for r in rows]}", World(**DATA))
    # From Python 3.12 on a comprehension is part of the function around it: its variable is gone by then.
    of_the_item = ("`r.id` is null",) if sys.version_info < (3, 12) else ()
    assert found.notes == (*of_the_item, "`o.x` is 1", "`rows` is an array of 2")


def test_a_fault_never_shows_a_secret() -> None:
    world = World({"secrets": root(Type("object", secret=True))}, secrets={"k": "hunter2hunter2"}, o={"x": 1, "m": {}})
    for text in (
        "${secrets.k + o.x}",
        "${[s + 1 for s in [secrets.k]]}",
        "${int(secrets.k)}",
        "${o.m[secrets.k]}",
        "${o[secrets]}",
    ):
        found = fault(text, world)
        assert "hunter" not in f"{found.message} {found.notes}"


def test_the_scalar_of_the_failing_part_is_told_in_a_unit_of_many() -> None:
    world, unit = World(**DATA), Unit()
    scalars = {text: Scalar() for text in ("${o.x}", "n ${o.nope} n", "${t}")}
    bodies = []
    for text, scalar in scalars.items():
        template = parse_template(text)[0]
        bodies.append((text, unit.template(template, scalar, infer_template(template, world))))
    run = unit.function(unit.dict(bodies), "inputs")
    with pytest.raises(KeyError) as raised:
        run(world.frame, Outside())
    found = explain(run, raised.value, world.frame)
    assert found.where is scalars["n ${o.nope} n"]
    assert (found.start, found.end) == (6, 10)


def test_a_unit_builds_values_around_expressions() -> None:
    world, unit = World(**DATA), Unit()
    plain = {"deep": [1, {"a": None}], "bytes": b"x"}
    body = unit.dict([("plain", unit.constant(plain)), ("list", unit.list([unit.constant("${t}")]))])
    run = unit.function(body, "values")
    first, second = run(world.frame, Outside()), run(world.frame, Outside())
    assert first == {"plain": plain, "list": ["${t}"]}
    assert first["plain"]["deep"] is not second["plain"]["deep"]
