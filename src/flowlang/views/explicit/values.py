"""Values and conditions as they stand in the file, without the secrets that are written out in them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from flowlang.document import model, nodes
from flowlang.views.explicit.lines import DEFAULT, data, item, nested, noted, remark, setting, text_lines, word

MASKED = "masked: a secret is written out here"
MASK = "***"


def keys_of(node: object) -> frozenset[str]:
    """The keys that the author wrote in an object of the file."""
    return frozenset(key.text for key, _ in node.entries) if isinstance(node, nodes.Mapping) else frozenset()


def inside(node: object, key: str) -> nodes.Node | None:
    """What stands under `key` in an object of the file."""
    return node.get(key) if isinstance(node, nodes.Mapping) else None


class Values:
    """Writes the values of one file. `masked` is its text with a `*` for each character of a literal secret."""

    def __init__(self, masked: str) -> None:
        self.masked = masked

    def hides(self, node: nodes.Node) -> bool:
        return self.masked[node.start : node.stop] != node.source.text[node.start : node.stop]

    def lines(self, key: str, value: model.Value, filled: object = None) -> list[str]:
        """`key: value`. `filled` is the value with defaults; those that it does not say are written behind."""
        return self._after(f"{word(key)}:", value, filled)

    def entries(self, entries: tuple[tuple[model.Name, model.Value], ...], filled: object = None) -> list[str]:
        known = filled if isinstance(filled, Mapping) else {}
        lines: list[str] = []
        for name, value in entries:
            lines += self.lines(name.text, value, known.get(name.text))
        given = {name.text for name, _ in entries}
        for key, default in known.items():
            if key not in given:
                lines += [remark(f"{key}: null, by default")] if default is None else default_of(key, default)
        return lines

    def _after(self, head: str, value: model.Value, filled: object = None) -> list[str]:
        if isinstance(value, (model.Constant, model.Computed)):
            return self._scalar(head, value)
        if isinstance(value, model.ListValue):
            inner = [line for each in value.items for line in self._item(each)]
            return [head, *nested(inner)] if inner else [f"{head} []"]
        inner = self.entries(value.entries, filled)
        return [head, *nested(inner)] if inner else [f"{head} {{}}"]

    def _item(self, value: model.Value) -> list[str]:
        if isinstance(value, model.ObjectValue) and value.entries:
            return item(self.entries(value.entries))
        if isinstance(value, model.ListValue) and value.items:
            return item([line for each in value.items for line in self._item(each)])
        return self._after("-", value)

    def _scalar(self, head: str, value: model.Constant | model.Computed) -> list[str]:
        scalar = value.scalar
        if self.hides(scalar):
            return text_lines(head, self.shown(scalar), MASKED)
        if isinstance(scalar.value, str):
            return text_lines(head, scalar.text)
        return [noted(f"{head} {data(scalar.value)}")]

    def shown(self, scalar: nodes.Scalar) -> str:
        """Its text, with a mask for each secret that is written out in it."""
        shown = self.masked[scalar.start : scalar.stop]
        runs = groupby(zip(scalar.raw, shown, strict=True), lambda pair: pair[0] != pair[1])
        hidden = ["".join(pair[0] for pair in run) for differs, run in runs if differs]
        text = scalar.text
        if not all(each in text for each in hidden):
            return MASK  # written with escapes
        for each in sorted(hidden, key=len, reverse=True):
            text = text.replace(each, MASK)
        return text

    # ------------------------------------------------------------ conditions

    def guard(self, key: str, guard: model.Guard) -> list[str]:
        return self._guard(f"{key}:", guard)

    def _guard(self, head: str, guard: model.Guard) -> list[str]:
        if isinstance(guard, model.Condition):
            if isinstance(guard.scalar.value, bool):
                return [f"{head} {data(guard.scalar.value)}"]
            return text_lines(head, guard.scalar.text)
        inner = [line for each in guard.members for line in self._member(each)]
        group = [f"{guard.kind}:", *nested(inner)]
        return item(group) if head == "-" else [head, *nested(group)]

    def _member(self, guard: model.Guard) -> list[str]:
        return self._guard("-", guard)


def default_of(key: str, value: object) -> list[str]:
    """A default as its author would have written it: an object with a line for each of its keys."""
    if not isinstance(value, Mapping) or not value:
        return [setting(word(key), data(value), DEFAULT)]
    return [
        noted(f"{word(key)}:", DEFAULT),
        *nested(line for name, each in value.items() for line in default_of(name, each)),
    ]
