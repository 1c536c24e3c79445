"""A chart as text for mermaid, whose `flowchart` most places that show Markdown can draw.

In a label everything but letters, digits, blanks and harmless punctuation is written by its code (`#35;`), so that
no name or message can end the label, add a line or be read as HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from flowlang.records import frozen
from flowlang.views.graph.chart import Chart, Group, Handled, Lane, Node, Part

_PLAIN = frozenset(" .,:?!=+*/-_()")
_LONGEST = 80  # characters of a label's line
_SHAPES = {"inputs": ("([", "])"), "outputs": ("([", "])"), "subflow": ("[[", "]]"), "exit": ("([", "])")}
_ASKING = {
    "if": ("{", "}"),
    "switch": ("{", "}"),
    "for_each": ("{{", "}}"),
    "while": ("{{", "}}"),
    "until": ("{{", "}}"),
}


@frozen
class _End:
    """Where a line begins that has not reached its goal yet."""

    node: str
    label: str = ""
    error: bool = False


def mermaid(chart: Chart) -> str:
    """The text of the diagram; it ends with a newline."""
    writer = _Writer()
    lines = ["flowchart TD", *_indented(writer.lane(chart.main, []))]
    for lane in chart.cleanups:
        lines += _indented(writer.box(lane.label, lane, []))
    lines += [f"  class {','.join(nodes)} {name}" for name, nodes in writer.classes.items()]
    lines += [f"  classDef {name} {_STYLES[name]}" for name in writer.classes]
    return "\n".join(lines) + "\n"


_STYLES = {"fails": "stroke:#c4314b,stroke-width:2px", "ends": "stroke:#2e8b45,stroke-width:2px"}


def _indented(lines: Iterator[str] | Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


class _Writer:
    """Numbers the nodes. `ends` are those that wait for the next node, `entry` is the node that the part written last
    begins with."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.ends: list[_End] = []
        self.entry = ""
        self.classes: dict[str, list[str]] = {}

    def name(self) -> str:
        return f"n{next(self._numbers)}"

    def link(self, ends: Sequence[_End], node: str) -> Iterator[str]:
        for each in ends:
            arrow = "-.->" if each.error else "-->"
            label = f'|"{label_text([each.label])}"|' if each.label else ""
            yield f"{each.node} {arrow}{label} {node}"

    def lane(self, lane: Lane, ends: Sequence[_End]) -> Iterator[str]:
        """The steps of a lane, entered from `ends`; what leaves it is in `self.ends`."""
        self.ends = list(ends)
        for part in lane.parts:
            yield from self.part(part, self.ends)

    def box(self, title: str, lane: Lane, ends: Sequence[_End]) -> Iterator[str]:
        yield f'subgraph {self.name()}["{label_text([title])}"]'
        yield from _indented([*self.lane(lane, ends)])
        yield "end"

    def part(self, part: Part, ends: Sequence[_End]) -> Iterator[str]:
        if isinstance(part, Handled):
            yield from self._handled(part, ends)
        elif isinstance(part, Group):
            yield from self._group(part, ends)
        else:
            name = self.name()
            yield from self._node(part, name)
            yield from self.link(ends, name)
            self.ends = [] if part.ends else [_End(name)]
            self.entry = name

    def _node(self, node: Node, name: str) -> Iterator[str]:
        rows = [f"if {node.guard}"] if node.guard is not None else []
        rows += [node.title, *node.lines]
        rows += [f"on {node.badge.name} ({node.badge.type})"] if node.badge is not None else []
        rows += [" · ".join(node.notes)] if node.notes else []
        opening, closing = _SHAPES.get(node.kind, ("[", "]"))
        yield f'{name}{opening}"{label_text(rows)}"{closing}'
        if node.kind in ("raise", "exit"):
            self.classes.setdefault("fails" if node.kind == "raise" else "ends", []).append(name)

    def _handled(self, handled: Handled, ends: Sequence[_End]) -> Iterator[str]:
        yield from self.part(handled.part, ends)
        left, entry = self.ends, self.entry
        yield from self.lane(handled.lane, [_End(entry, handled.lane.label, error=True)])
        self.ends = [*left, *self.ends]
        self.entry = entry

    def _group(self, group: Group, ends: Sequence[_End]) -> Iterator[str]:
        """A box with a node that asks or begins; lines lead from it into the lanes, and on from their ends."""
        rows = [f"if {group.guard}"] if group.guard is not None else []
        rows += [f"{group.title} {group.kind}" if group.title != group.kind else group.kind]
        rows += [group.label] if group.label else []
        rows += [f"on {group.badge.name} ({group.badge.type})"] if group.badge is not None else []
        rows += [" · ".join(group.notes)] if group.notes else []
        opening, closing = _ASKING.get(group.kind, ("[", "]"))
        entry = self.name()
        yield f'subgraph {self.name()}["{label_text([group.title])}"]'
        yield f'  {entry}{opening}"{label_text(rows)}"{closing}'
        left: list[_End] = [_End(entry, "not run")] if group.guard is not None else []
        for lane in group.lanes:
            yield from _indented([*self.lane(lane, [_End(entry, lane.label, lane.how == "error")])])
            left += self.ends
        if group.kind in ("for_each", "while", "until"):
            yield from _indented([*self.link([_End(each.node, "next", True) for each in self.ends], entry)])
            left = [_End(entry, "done")]
        for lane in group.after:
            yield from _indented([*self.box(lane.label, lane, left)])
            left = self.ends
        yield "end"
        yield from self.link(ends, entry)
        self.ends = left
        self.entry = entry


def label_text(rows: Sequence[str]) -> str:
    """Lines of a label, fit to stand between double quotes."""
    return "<br/>".join(map(_escaped, rows))


def _escaped(row: str) -> str:
    row = row if len(row) <= _LONGEST else row[: _LONGEST - 1] + "…"
    return "".join(each if each in _PLAIN or each.isalnum() else _code(each) for each in row)


def _code(character: str) -> str:
    return f"#{ord(character) if character.isprintable() else 0xFFFD};"
