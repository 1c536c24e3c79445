"""A YAML text as it is written: every node with its style and its properties, and every comment.

The tree of `yaml_reader` says what a text means, and forgets how it is put down; this one is for `formatting`. It is
made from texts that were read without a finding.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Literal

from flowlang.document.scalars import CORE

Kind = Literal["scalar", "alias", "mapping", "sequence"]
_STYLES = {"'": "single", '"': "double", "|": "literal", ">": "folded"}
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:\s+|#[^\n]*)*)*")
_COMMENT = re.compile(r"#[^\n]*")
_PROLOGUE = re.compile(r"^%[^\n]*|#[^\n]*", re.MULTILINE)


@dataclass(slots=True, eq=False)
class Written:
    """A node. `begin` is where its properties begin, `start` where it does itself; both are indexes, as `stop` is.

    `children` are the items of a list; of a mapping its keys and values in turn. `text` is the value of a scalar, or
    the name of an alias.
    """

    kind: Kind
    begin: int
    start: int
    stop: int
    properties: str = ""
    style: str = "plain"
    text: str = ""
    flow: bool = False
    children: list[Written] = field(default_factory=list)

    @property
    def is_leaf(self) -> bool:
        return self.kind == "scalar" or self.kind == "alias"


@dataclass(slots=True, eq=False)
class Comment:
    """`after` is the end of the scalar or bracket before it; `alone` says that it has its line to itself."""

    text: str
    index: int
    line: int
    column: int
    alone: bool
    after: int


class Document:
    """One document: its `root` (None when there are only comments), its comments in order, and where `---` stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Written | None = None
        self.marker: int | None = None
        self.comments: list[Comment] = []
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._last = 0  # up to where comments were looked for
        self._read()
        self._gap(len(text), len(text))

    def line_of(self, index: int) -> int:
        """The number of the line, from 1."""
        return bisect_right(self.lines, index)

    def column_of(self, index: int) -> int:
        """The column, from 0."""
        return index - self.lines[bisect_right(self.lines, index) - 1]

    def is_after_blank(self, index: int) -> bool:
        """Whether what stands at `index` begins its line, and the line before is empty."""
        line = bisect_right(self.lines, index) - 1
        begin = self.lines[line]
        if line == 0 or index - begin > 4096 or self.text[begin:index].strip(" \t-?:"):
            return False
        return not self.text[self.lines[line - 1] : begin].strip()

    # ------------------------------------------------------------ reading

    def _read(self) -> None:
        import yaml

        events: Any = yaml.events
        loader: Any = (yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader)(self.text)
        get, end, scalar = loader.get_event, events.StreamEndEvent, events.ScalarEvent
        kinds: dict[type, Kind] = {events.MappingStartEvent: "mapping", events.SequenceStartEvent: "sequence"}
        top: list[Written] = []
        open_ = [top]
        nodes: list[Written] = []
        try:
            while (kind := type(event := get())) is not end:
                if kind is scalar:
                    open_[-1].append(self._scalar(event))
                elif kind in kinds:
                    node = self._collection(event, kinds[kind])
                    open_[-1].append(node)
                    open_.append(node.children)
                    nodes.append(node)
                elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
                    open_.pop()
                    node = nodes.pop()
                    node.stop = event.end_mark.index
                    if node.flow:
                        self._gap(node.stop, node.stop)
                elif kind is events.AliasEvent:
                    begin, stop = event.start_mark.index, event.end_mark.index
                    self._gap(begin, stop)
                    open_[-1].append(Written("alias", begin, begin, stop, text=f"*{event.anchor}"))
                elif kind is events.DocumentStartEvent and event.explicit:
                    self.marker = event.end_mark.index - 3
                    self._gap(self.marker, self.marker, _PROLOGUE)
        finally:
            loader.dispose()
        if top and (top[0].text or top[0].kind != "scalar"):
            self.root = top[0]

    def _scalar(self, event: Any) -> Written:
        begin, stop = event.start_mark.index, event.end_mark.index
        style = _STYLES.get(event.style or "", "plain")
        if event.tag is None and event.anchor is None:
            self._gap(begin, stop)
            return Written("scalar", begin, begin, stop, "", style, event.value)
        self._gap(begin, begin + 1)
        start = min(self._after_properties(begin), stop)
        self._gap(start, stop)
        return Written("scalar", begin, start, stop, _properties(event), style, event.value)

    def _collection(self, event: Any, kind: Kind) -> Written:
        begin, properties = event.start_mark.index, _properties(event)
        start = begin
        if properties:
            self._gap(begin, begin + 1)
            start = self._after_properties(begin)
        flow = bool(event.flow_style)
        if flow:
            self._gap(start, event.end_mark.index)
        return Written(kind, begin, start, begin, properties, flow=flow)

    def _after_properties(self, begin: int) -> int:
        match = _PROPERTIES.match(self.text, begin)
        return match.end() if match else begin

    def _gap(self, start: int, stop: int, pattern: re.Pattern[str] = _COMMENT) -> None:
        """Collects the comments between what stands before and what stands from `start` to `stop`."""
        last = self._last
        self._last = max(last, stop)
        if pattern is _COMMENT and self.text.find("#", last, start) < 0:
            return
        for match in pattern.finditer(self.text, last, max(start, last)):
            index = match.start()
            line = self.line_of(index)
            begin = self.lines[line - 1]
            alone = last <= begin and not self.text[begin:index].strip()
            self.comments.append(Comment(match[0].rstrip(), index, line, index - begin, alone, last))


def _properties(event: Any) -> str:
    """The anchor and the tag of a node, as they are written."""
    tag = event.tag
    anchor = f"&{event.anchor}" if event.anchor is not None else ""
    if tag is None:
        return anchor
    return f"{anchor} {tag if tag == '!' else '!!' + tag.removeprefix(CORE)}".lstrip()
