"""Random valid flows over whole numbers, each with the outputs that a simple interpreter computes for it.

A flow is built as nested tuples, written as YAML by one function and carried out by another. The interpreter knows
nothing of frames, slots or compiled expressions: names are keys of dictionaries.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Expr = tuple[Any, ...]
INPUTS = {"n": 3, "m": 7, "yes": True}


class Failure(Exception):
    """The task `boom` was reached."""


@dataclass
class Known:
    """A name in sight: its keys, and whether it is certainly there."""

    name: str
    keys: tuple[str, ...]
    sure: bool = True


@dataclass
class Generator:
    random: random.Random
    names: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = (f"s{number}" for number in range(10**6))

    # ------------------------------------------------------------ expressions

    def expression(self, known: list[Known], depth: int = 2) -> Expr:
        choice = self.random.random()
        if depth and choice < 0.35:
            operator = self.random.choice("+-")
            return (operator, self.expression(known, depth - 1), self.expression(known, depth - 1))
        if depth and choice < 0.45:
            return ("choose", self.condition(known), self.expression(known, depth - 1), self.expression(known, 0))
        if known and choice < 0.85:
            one = self.random.choice(known)
            return ("read", one.name, self.random.choice(one.keys), one.sure)
        return ("input", self.random.choice("nm")) if choice < 0.93 else ("number", self.random.randrange(10))

    def condition(self, known: list[Known]) -> Expr:
        kind = self.random.choice(["<", "==", "and", "not", "yes"])
        if kind == "and":
            return ("and", self.condition(known), self.condition(known))
        if kind == "not":
            return ("not", self.condition(known))
        return ("yes",) if kind == "yes" else (kind, self.expression(known, 1), self.expression(known, 0))

    # ------------------------------------------------------------ steps

    def block(self, known: list[Known], depth: int, size: int) -> list[Expr]:
        """Steps; what they leave in sight is added to `known`."""
        makers = [self.set, self.set, self.guarded, self.call, self.handled]
        if depth:
            makers += [
                self.choice,
                self.choice,
                self.switch,
                self.loop,
                self.parallel,
                self.repeat,
                self.repeat,
                self.tried,
            ]
        return [self.random.choice(makers)(known, depth - 1) for _ in range(size)]

    def set(self, known: list[Known], depth: int, name: str | None = None) -> Expr:
        name = name or next(self.names)
        first = self.expression(known)
        second = self.expression([*known, Known(name, ("v",))])
        known.append(Known(name, ("v", "w")))
        return ("set", name, first, second)

    def guarded(self, known: list[Known], depth: int) -> Expr:
        condition = self.condition(known)
        step = self.set(known, depth)
        known[-1].sure = False
        return ("guarded", condition, step)

    def call(self, known: list[Known], depth: int) -> Expr:
        name = next(self.names)
        argument = self.expression(known)
        known.append(Known(name, ("v",)))
        return ("twice", name, argument)

    def handled(self, known: list[Known], depth: int) -> Expr:
        name, fails, argument = next(self.names), self.random.random() < 0.5, self.expression(known)
        inner = list(known)
        handler = self.block(inner, 0, 1)
        known += [Known(each.name, each.keys, False) for each in inner[len(known) :]]
        known.append(Known(name, ("v",), False))
        return ("handled", name, "boom" if fails else "twice", argument, handler)

    def _branches(self, known: list[Known], depth: int, count: int, *, exhaustive: bool) -> list[list[Expr]]:
        """Branches of which one runs; some define the same id."""
        shared = next(self.names) if self.random.random() < 0.6 else None
        bodies, left = [], []
        for _ in range(count):
            inner = list(known)
            body = self.block(inner, depth, self.random.randrange(1, 3))
            if shared and self.random.random() < 0.9:
                body.append(self.set(inner, 0, shared))
            bodies.append(body)
            left.append({each.name: each for each in inner[len(known) :]})
        for name in dict.fromkeys(name for each in left for name in each):
            entries = [each[name] for each in left if name in each]
            keys = tuple(key for key in entries[0].keys if all(key in each.keys for each in entries))
            sure = exhaustive and len(entries) == count and all(each.sure for each in entries)
            known.append(Known(name, keys, sure))
        return bodies

    def choice(self, known: list[Known], depth: int) -> Expr:
        conditions = [self.condition(known) for _ in range(self.random.randrange(1, 4))]
        exhaustive = self.random.random() < 0.6
        bodies = self._branches(known, depth, len(conditions) + exhaustive, exhaustive=exhaustive)
        return ("if", conditions, bodies[: len(conditions)], bodies[-1] if exhaustive else None)

    def switch(self, known: list[Known], depth: int) -> Expr:
        subject = self.expression(known)
        cases = [[self.random.randrange(-3, 12)] for _ in range(2)]
        cases[1].append(cases[0][0] + 1)
        if cases[1][0] == cases[0][0]:
            cases[1].pop(0)
        exhaustive = self.random.random() < 0.6
        bodies = self._branches(known, depth, 2 + exhaustive, exhaustive=exhaustive)
        return ("switch", subject, cases, bodies[:2], bodies[2] if exhaustive else None)

    def loop(self, known: list[Known], depth: int) -> Expr:
        name, variable = next(self.names), next(self.names)
        inner = [*known, Known(variable, ("",)), Known("index", ("",))]
        body = self.block(inner, depth, self.random.randrange(1, 3))
        collect = self.expression(inner)
        known.append(Known(name, ("count", "results")))
        return ("loop", name, variable, self.random.randrange(0, 4), body, collect)

    def repeat(self, known: list[Known], depth: int) -> Expr:
        """Turns in the frame around them. The last step of the body is one that the body may read from the start."""
        kind, name, kept = self.random.choice(["while", "until"]), next(self.names), next(self.names)
        inner = [*known, Known("index", ("",)), Known(kept, ("v", "w"), False)]
        first = len(inner) - 1
        body = self.block(inner, depth, self.random.randrange(1, 3))
        body.append(self.set(inner, 0, kept))
        own = {each.name: each for each in inner[first:]}
        known += [Known(each.name, each.keys, each.sure and kind == "until") for each in own.values()]
        known.append(Known(name, ("count",)))
        turns = self.random.randrange(kind == "until", 4)
        return ("repeat", kind, name, turns, body, list(own))

    def tried(self, known: list[Known], depth: int) -> Expr:
        ways = [list(known) for _ in range(2)]
        fails = self.random.random() < 0.5
        body, handler = (self.block(each, depth, self.random.randrange(1, 3)) for each in ways)
        own = [Known(each.name, each.keys, False) for way in ways for each in way[len(known) :]]
        inner = [*known, *own]
        last = self.block(inner, 0, 1)
        gone = [each.name for each in ways[0][len(known) :]]
        known += inner[len(known) :]
        return ("try", body, fails, handler, last, gone)

    def parallel(self, known: list[Known], depth: int) -> Expr:
        branches, left = [], []
        for _ in range(self.random.randrange(1, 4)):
            inner = list(known)
            branches.append(self.block(inner, depth, self.random.randrange(1, 3)))
            left += inner[len(known) :]
        known += left
        return ("parallel", branches)


# ---------------------------------------------------------------- as YAML


def text(expr: Expr) -> str:
    match expr:
        case ("number", value):
            return str(value)
        case ("input", name):
            return f"inputs.{name}"
        case ("yes",):
            return "inputs.yes"
        case ("read", name, "", _):
            return str(name)
        case ("read", name, "results", True):
            return f"sum({name}.results)"
        case ("read", name, "results", False):
            return f"sum(default({name}.results, []))"
        case ("read", name, key, sure):
            return f"{name}.{key}" if sure else f"default({name}.{key}, -1)"
        case ("choose", condition, one, other):
            return f"({text(one)} if {text(condition)} else {text(other)})"
        case ("not", condition):
            return f"(not {text(condition)})"
        case (operator, one, other):
            return f"({text(one)} {operator} {text(other)})"
    raise AssertionError(expr)


def value(expr: Expr) -> str:
    return json.dumps("${" + text(expr) + "}")


def lines(steps: list[Expr], indent: str) -> Iterator[str]:
    for step in steps:
        first, *rest = step_lines(step)
        yield f"{indent}- {first}"
        yield from (f"{indent}  {line}" for line in rest)


def step_lines(step: Expr) -> Iterator[str]:
    match step:
        case ("set", name, one, two):
            yield from (f"id: {name}", f"set: {{v: {value(one)}, w: {value(two)}}}")
        case ("guarded", condition, inner):
            yield from (f"if: {text(condition)}", *step_lines(inner))
        case ("twice", name, argument):
            yield f"twice: {{id: {name}, x: {value(argument)}}}"
        case ("handled", name, task, argument, handler):
            yield from (f"task: {task}", f"id: {name}", f"inputs: {{x: {value(argument)}}}", "on_error:")
            yield from lines(handler, "  ")
        case ("if", conditions, bodies, otherwise):
            yield from (f"if: {text(conditions[0])}", "then:", *lines(bodies[0], "  "))
            if len(conditions) > 1:
                yield "elif:"
            for condition, body in zip(conditions[1:], bodies[1:], strict=True):
                yield from (f"  - if: {text(condition)}", "    then:", *lines(body, "      "))
            if otherwise is not None:
                yield from ("else:", *lines(otherwise, "  "))
        case ("switch", subject, cases, bodies, otherwise):
            yield from (f"switch: {value(subject)}", "cases:")
            for wanted, body in zip(cases, bodies, strict=True):
                yield from (f"  - when: {wanted}", "    do:", *lines(body, "      "))
            if otherwise is not None:
                yield from ("default:", *lines(otherwise, "  "))
        case ("loop", name, variable, count, body, collect):
            yield from (f"id: {name}", f"for_each: ${{range({count})}}", f"as: {variable}", "do:", *lines(body, "  "))
            yield f"collect: {value(collect)}"
        case ("repeat", kind, name, turns, body, _):
            condition = f"index < {turns}" if kind == "while" else f"index == {turns - 1}"
            yield from (f"id: {name}", f"{kind}: {condition}", "max_iterations: 9", "do:", *lines(body, "  "))
        case ("try", body, fails, handler, last, _):
            yield from ("try:", *lines(body, "  "))
            if fails:
                yield "  - boom: {x: 1}"
            yield from ("catch:", "  - do:", *lines(handler, "      "), "finally:", *lines(last, "  "))
        case ("parallel", branches):
            yield "parallel:"
            for branch in branches:
                yield from ("  - do:", *lines(branch, "      "))


def yaml(steps: list[Expr], known: list[Known]) -> str:
    kinds = {int: "integer", bool: "boolean"}
    rows = ["flow: generated", "inputs:"]
    rows += [f"  - {{name: {name}, type: {kinds[type(each)]}, required: true}}" for name, each in INPUTS.items()]
    rows += ["steps:", *lines(steps, "  "), "outputs:"]
    for each in known:
        for key in each.keys:
            rows.append(f"  - {{name: {each.name}_{key}, value: {value(('read', each.name, key, each.sure))}}}")
    return "\n".join(rows) + "\n"


# ---------------------------------------------------------------- carried out


def compute(expr: Expr, names: dict[str, Any]) -> Any:
    match expr:
        case ("number", number):
            return number
        case ("input", name):
            return INPUTS[name]
        case ("yes",):
            return INPUTS["yes"]
        case ("read", name, "", _):
            return names[name]
        case ("read", name, "results", _):
            return sum(names.get(name, {}).get("results", []))
        case ("read", name, key, sure):
            return names[name][key] if sure else names.get(name, {}).get(key, -1)
        case ("choose", condition, one, other):
            return compute(one if compute(condition, names) else other, names)
        case ("and", one, other):
            return compute(one, names) and compute(other, names)
        case ("not", one):
            return not compute(one, names)
    operator, one, other = expr
    a, b = compute(one, names), compute(other, names)
    return {"+": lambda: a + b, "-": lambda: a - b, "<": lambda: a < b, "==": lambda: a == b}[operator]()


def carry_out(steps: list[Expr], names: dict[str, Any]) -> None:
    for step in steps:
        carry_out_one(step, names)


def carry_out_one(step: Expr, names: dict[str, Any]) -> None:
    match step:
        case ("set", name, one, two):
            before, first = names.get(name, {}), compute(one, names)
            names[name] = {**before, "v": first}  # what is to come is still that of the turn before
            names[name] = {"v": first, "w": compute(two, names)}
        case ("guarded", condition, inner):
            if compute(condition, names):
                carry_out_one(inner, names)
        case ("twice", name, argument):
            names[name] = {"v": 2 * compute(argument, names)}
        case ("handled", name, task, argument, handler):
            if task == "boom":
                names.pop(name, None)
                carry_out(handler, names)
            else:
                names[name] = {"v": 2 * compute(argument, names)}
        case ("if", conditions, bodies, otherwise):
            pairs = zip(conditions, bodies, strict=True)
            chosen = next((body for condition, body in pairs if compute(condition, names)), otherwise)
            carry_out(chosen or [], names)
        case ("switch", subject, cases, bodies, otherwise):
            looked_at = compute(subject, names)
            chosen = next((body for wanted, body in zip(cases, bodies, strict=True) if looked_at in wanted), otherwise)
            carry_out(chosen or [], names)
        case ("loop", name, variable, count, body, collect):
            results = []
            for number in range(count):
                turn = {**names, variable: number, "index": number}
                carry_out(body, turn)
                results.append(compute(collect, turn))
            names[name] = {"count": count, "results": results}
        case ("repeat", _, name, turns, body, own):
            outer = names.get("index")
            for each in own:
                names.pop(each, None)
            for number in range(turns):
                names["index"] = number
                carry_out(body, names)
            names["index"] = outer
            names[name] = {"count": turns}
        case ("try", body, fails, handler, last, gone):
            carry_out(body, names)
            if fails:
                for each in gone:
                    names.pop(each, None)
                carry_out(handler, names)
            carry_out(last, names)
        case ("parallel", branches):
            before, after = dict(names), {}
            for branch in branches:
                own = dict(before)
                carry_out(branch, own)
                after |= {key: each for key, each in own.items() if each is not before.get(key)}
            names |= after


def flow(seed: int, size: int = 6, depth: int = 2) -> tuple[str, dict[str, Any]]:
    """A flow as YAML, and the outputs it gives for `INPUTS`."""
    generator = Generator(random.Random(seed))
    known: list[Known] = []
    steps = generator.block(known, depth, size)
    names: dict[str, Any] = {}
    carry_out(steps, names)
    outputs = {
        f"{each.name}_{key}": compute(("read", each.name, key, each.sure), names) for each in known for key in each.keys
    }
    return yaml(steps, known), outputs
