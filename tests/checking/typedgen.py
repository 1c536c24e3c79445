"""Random flows over values of every type.

With `slips=0` each expression has the type that its place wants, and the check should have nothing to say. With more,
now and then one of another type stands there: what the check lets pass must run all the same.
"""

# ruff: noqa: E501 - the ways stand in a table

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

KINDS = ["integer", "number", "string", "boolean", "timestamp", "duration", "integers", "strings", "object", "maybe"]
INPUTS = """\
inputs:
  - {name: integer, type: integer, required: true}
  - {name: number, type: number, required: true}
  - {name: string, type: string, required: true}
  - {name: boolean, type: boolean, required: true}
  - {name: timestamp, type: timestamp, required: true}
  - {name: duration, type: duration, required: true}
  - {name: integers, type: array, items: {type: integer}, required: true}
  - {name: strings, type: array, items: {type: string}, required: true}
  - {name: object, type: object, required: true,
     properties: {a: {type: integer, required: true}, b: {type: string, required: true}}}
  - {name: maybe, type: integer}
"""
VALUES = {
    "integer": 3,
    "number": 2.5,
    "string": "ash",
    "boolean": True,
    "timestamp": "2024-05-01T12:00:00Z",
    "duration": "90s",
    "integers": [4, 5],
    "strings": ["x", "y"],
    "object": {"a": 1, "b": "beech"},
}
PART = """\
flow: part
inputs:
  - {name: n, type: integer, required: true}
  - {name: t, type: string}
outputs:
  - {name: integer, type: integer, value: "${inputs.n + 1}"}
  - {name: string, type: string, value: "${default(inputs.t, 'none')}"}
steps: []
"""
# Ways to make a value of a kind; `{kind}` is an expression of that kind.
WAYS: dict[str, list[str]] = {
    "integer": ["7", "({integer} + {integer})", "({integer} * 2 - {integer})", "len({strings})", "len({string})",
                "sum({integers})",                 "default({maybe}, 0)", "{object}.a", "int({number})", "({integer} if {boolean} else {integer})",
                "round({number})", "abs({integer})", "(({duration} + duration('1s')) // duration('1s'))"],
    "number": ["1.5", "({number} + {integer})", "({integer} / 4)", "float({integer})", "max([{number}, {number}])"],
    "string": ["'fir'", "({string} + {string})", "upper({string})", "join({strings}, '-')", "str({integer})",
               "{object}.b",                "json({object})", "format_time({timestamp})", "({string} if {boolean} else {string})", "strip({string})",
               "str({number})", "default({string}, 'x')"],
    "boolean": ["true", "({integer} < {integer})", "({string} == {string})", "(not {boolean})",
                "({boolean} and {boolean})",                 "({integer} in {integers})", "({string} in {strings})", "({timestamp} >= {timestamp})",
                "has(inputs.maybe)",                 "({duration} < {duration})", "starts_with({string}, 'a')", "any([x > 1 for x in {integers}])",
                "({maybe} == null)", "contains({string}, 'e')"],
    "timestamp": ["parse_time('2024-01-01T00:00:00Z')", "({timestamp} + {duration})", "({timestamp} - {duration})"],
    "duration": ["duration('5s')", "({timestamp} - {timestamp})", "({duration} + {duration})", "({duration} * 2)",
                 "duration({integer})"],
    "integers": ["[1, 2]", "[x + 1 for x in {integers}]", "({integers} + {integers})", "sorted({integers})", "range(3)",
                 "[{integer}]", "{integers}[:2]", "[len(x) for x in {strings}]"],
    "strings": ["['a', 'b']", "split({string}, ',')", "({strings} + {strings})", "[str(x) for x in {integers}]",
                "keys({object})", "[{string}, {string}]"],
    "object": ["{'a': {integer}, 'b': {string}}", "merge({object}, {'a': {integer}})"],
    "maybe": ["null", "({integer} if {boolean} else null)"],
}  # fmt: skip
HOLE = re.compile(r"\{(\w+)\}")
JOINS = re.compile(r"default\(|int\(| if |\[.*,|s} \+")
VARIABLE = {"integers": "integer", "strings": "string"}


@dataclass
class Name:
    """What can be read: an expression and its kind; `sure`: it is there for certain."""

    path: str
    kind: str
    sure: bool = True


@dataclass
class Typed:
    random: random.Random
    slips: float = 0.0
    count: int = 0
    names: list[Name] = field(default_factory=list)

    def expression(self, kind: str, known: list[Name], depth: int = 2) -> str:
        if depth < 2 and self.random.random() < self.slips:
            kind = self.random.choice(KINDS)
        readable = [each for each in known if each.kind == kind]
        if readable and self.random.random() < 0.5:
            one = self.random.choice(readable)
            if one.sure:
                return one.path
            return f"default({one.path}, {self.random.choice(WAYS[kind][:1])})" if kind != "object" else "inputs.object"
        if not depth:
            return f"inputs.{kind}"
        way, slips = self.random.choice(WAYS[kind]), self.slips
        if JOINS.search(way):
            self.slips = 0  # what may be one of several types is unknown to the check, which lets it pass
        made = HOLE.sub(lambda hole: self.expression(hole[1], known, depth - 1), way)
        self.slips = slips
        return made

    def steps(self, known: list[Name], depth: int, size: int) -> Iterator[str]:
        makers = [self.set, self.set, self.query, self.part]
        if depth:
            makers += [self.choice, self.loop, self.turns, self.attempt, self.guarded]
        for _ in range(size):
            yield from self.random.choice(makers)(known, depth - 1)

    def name(self) -> str:
        self.count += 1
        return f"s{self.count}"

    def value(self, kind: str, known: list[Name]) -> str:
        return json.dumps("${" + self.expression(kind, known) + "}")

    def set(self, known: list[Name], depth: int) -> Iterator[str]:
        name, kinds = self.name(), self.random.sample(KINDS, 2)
        values = ", ".join(f"{key}: {self.value(kind, known)}" for key, kind in zip("vw", kinds, strict=True))
        yield f"- {{id: {name}, set: {{{values}}}}}"
        known += [Name(f"{name}.{key}", kind) for key, kind in zip("vw", kinds, strict=True)]

    def guarded(self, known: list[Name], depth: int) -> Iterator[str]:
        name, kind = self.name(), self.random.choice(KINDS)
        guard = json.dumps(self.expression("boolean", known))
        yield f"- {{id: {name}, if: {guard}, set: {{v: {self.value(kind, known)}}}}}"
        known.append(Name(f"{name}.v", kind, sure=False))

    def query(self, known: list[Name], depth: int) -> Iterator[str]:
        name, kind = self.name(), self.random.choice(["integer", "string", "number"])
        statement = json.dumps("SELECT ${" + self.expression(kind, known) + "} AS v")
        yield f"- sqlite_query: {{id: {name}, query: {statement}}}"
        known.append(Name(f"{name}.count", "integer"))

    def part(self, known: list[Name], depth: int) -> Iterator[str]:
        name = self.name()
        given = f"{{n: {self.value('integer', known)}, t: {self.value('string', known)}}}"
        yield f"- {{id: {name}, subflow: part, inputs: {given}}}"
        known += [Name(f"{name}.integer", "integer"), Name(f"{name}.string", "string")]

    def _inside(self, known: list[Name], depth: int) -> list[str]:
        return [f"    {line}" for line in self.steps(known, depth, self.random.randrange(1, 3))]

    def choice(self, known: list[Name], depth: int) -> Iterator[str]:
        shared, kind = self.name(), self.random.choice(KINDS)
        yield f"- if: {json.dumps(self.expression('boolean', known))}"
        for word in ("then", "else"):
            inner = list(known)
            yield f"  {word}:"
            yield from self._inside(inner, depth)
            slips, self.slips = self.slips, 0
            yield f"    - {{id: {shared}, set: {{v: {self.value(kind, inner)}}}}}"
            self.slips = slips
        known.append(Name(f"{shared}.v", kind))

    def loop(self, known: list[Name], depth: int) -> Iterator[str]:
        name, variable, many = self.name(), self.name(), self.random.choice(list(VARIABLE))
        inner = [*known, Name(variable, VARIABLE[many]), Name("index", "integer")]
        yield f"- id: {name}"
        yield f"  for_each: {self.value(many, known)}"
        yield f"  as: {variable}"
        yield "  do:"
        yield from self._inside(inner, depth)
        yield f"  collect: {self.value(VARIABLE[many], inner)}"
        known += [Name(f"{name}.results", many), Name(f"{name}.count", "integer")]

    def turns(self, known: list[Name], depth: int) -> Iterator[str]:
        name = self.name()
        yield f"- id: {name}"
        yield "  until: index == 1"
        yield "  max_iterations: 3"
        yield "  do:"
        inner = [*known, Name("index", "integer")]
        yield from self._inside(inner, depth)
        known += inner[len(known) + 1 :]
        known.append(Name(f"{name}.count", "integer"))

    def attempt(self, known: list[Name], depth: int) -> Iterator[str]:
        yield "- try:"
        yield from self._inside(list(known), depth)
        yield '    - raise: {type: task, message: "${' + self.expression("string", known) + '}"}'
        yield "  catch:"
        yield "    - on: [task]"
        yield "      do:"
        yield from (f"    {line}" for line in self._inside([*known, Name("error.detail", "string")], depth))


def flow(seed: int, slips: float = 0.0, size: int = 5, depth: int = 2) -> str:
    """A flow as YAML, for `VALUES`, with `PART` beside it as `part.yaml`."""
    made = Typed(random.Random(seed), slips)
    known = [Name(f"inputs.{kind}", kind) for kind in KINDS]
    steps = list(made.steps(known, depth, size))
    rows = ["flow: typed", INPUTS + 'connections: {db: {type: sqlite, database: ":memory:"}}', "steps:"]
    rows += [f"  {line}" for line in steps] + ["outputs:"]
    rows += [
        f"  - {{name: {each.path.replace('.', '_')}, value: {made.value(each.kind, [each])}}}"
        for each in known[len(KINDS) :][:20]
    ]
    return "\n".join(rows + ([] if len(rows) > 4 and rows[-1] != "outputs:" else ["  []"])) + "\n"
