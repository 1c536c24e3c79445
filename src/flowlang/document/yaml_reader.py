"""YAML text → located nodes, or findings.

PyYAML gives events, from its C parser where there is one; the tree is built here. Events come one by one and
cannot nest, so depth and size are bounded while they come, before anything is built from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from flowlang.diagnostics import Diagnostic, Span
from flowlang.document import yaml_codes as codes
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence, Source, Style
from flowlang.document.scalars import CORE, MAYBE, OutOfRange, plain_value, tagged_value
from flowlang.document.source import LIMITS, Limits, read_source
from flowlang.document.texts import quoted, quoted_value, shown
from flowlang.records import frozen

Pause = Callable[[], None]
"""Called now and then while a file is read: whoever has something more urgent may hold the reading up there."""

_MAX_FINDINGS = 100
_REPAIRS = 2  # a file is read again after repairs for at most as many characters as two files may have
_STYLES: dict[str | None, Style] = {
    "": "plain",
    None: "plain",
    "'": "single",
    '"': "double",
    "|": "literal",
    ">": "folded",
}
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*")
_GAP = re.compile(r"(?:\s|(?<=\s)#[^\n]*)*")
_COMMENT = re.compile(r"[ \t]+#")
_HEADER = re.compile(r"[|>][-+0-9]*")
_ANCHOR = re.compile(r"&([^\s,\[\]{}]+)")


def read_yaml(
    text: str | bytes, file: str, limits: Limits = LIMITS, pause: Pause | None = None
) -> tuple[Node | None, list[Diagnostic]]:
    """The top-level node of one YAML document and what is wrong with it. `pause` is called at each object.

    The node is None when the text cannot be read to its end; otherwise it is a mapping. Every finding about
    YAML syntax that can be found after another one is reported with it.
    """
    from yaml import YAMLError

    checked, found = read_source(text, file, limits)
    if checked is None:
        return None, found
    source = Source(checked, file)
    reading, budget = checked, _REPAIRS * limits.size
    syntax: list[Diagnostic] = []
    while True:
        builder = _Builder(source, limits, pause)
        try:
            node = builder.read(reading)
        except _Stop as stop:
            return None, [*syntax, *builder.findings, stop.finding]
        except YAMLError as error:
            from flowlang.document.yaml_errors import explain

            trouble = explain(error, source, reading, builder.last, [each.start for each in builder.frames])
            if trouble.filler is not None or not builder.covers(trouble.finding.span):
                syntax.append(trouble.finding)
            budget -= len(reading) + 4096
            if trouble.filler is None or budget < 0:
                return None, [*syntax, *builder.findings]
            first, last = trouble.filler
            reading = reading[:first] + '"' + "_" * (last - first - 2) + '"' + reading[last:]
        else:
            return (None if syntax else node), [*syntax, *builder.findings]


class _Stop(Exception):
    """Reading ends here: a bound was reached, or what was read is no flow."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(slots=True, eq=False)
class _Frame:
    """A collection that is still open. `keys` is None for a list."""

    start: int
    flow: bool
    keys: dict[str, Scalar] | None
    anchor: str | None
    tag: str | None
    count: int  # nodes before it
    items: list[Any] = field(default_factory=list)
    key: Scalar | None = None
    waiting: bool = False  # a key was read, its value was not
    below: int = 0  # levels of collections inside
    instead: str | None = None  # the expression that a `{{ … }}` was meant to be


@frozen
class _Anchored:
    node: Node
    size: int
    height: int


class _Builder:
    """Builds the tree of one document. `last` is the scalar read last, for explaining a syntax error after it."""

    def __init__(self, source: Source, limits: Limits, pause: Pause | None) -> None:
        self.source = source
        self.pause = pause
        self.limits = limits
        self.most = limits.nodes
        self.findings: list[Diagnostic] = []
        self.frames: list[_Frame] = []
        self.frame: _Frame | None = None  # the last of them
        self.anchors: dict[str, _Anchored] = {}
        self.open_anchors: set[str] = set()
        self.count = 0
        self.last: Scalar | None = None
        self.end = 0
        self.root: Node | None = None

    # ------------------------------------------------------------ events

    def read(self, reading: str) -> Mapping:
        import yaml

        events = yaml.events
        loader: Any = (yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader)(reading)
        handlers = {
            events.MappingStartEvent: self._open_mapping,
            events.SequenceStartEvent: self._open_sequence,
            events.MappingEndEvent: self._close,
            events.SequenceEndEvent: self._close,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._document,
        }
        get, end, scalar, on_scalar = loader.get_event, events.StreamEndEvent, events.ScalarEvent, self._scalar
        try:
            while (kind := type(event := get())) is not end:
                if kind is scalar:  # two of three events
                    on_scalar(event)
                elif kind in handlers:
                    handlers[kind](event)
        finally:
            loader.dispose()
        return self._top_level()

    def _document(self, event: Any) -> None:
        if self.root is not None:
            message = "a second document begins here; a file holds one flow"
            self._stop(codes.DOCUMENTS, message, event.start_mark.index, 3, "move it to a file of its own")

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        style = event.style
        start: int = event.start_mark.index
        stop: int = event.end_mark.index
        if event.tag is not None or event.anchor is not None:
            node = self._with_properties(event, text, _STYLES[style], start, stop)
        elif style:
            node = Scalar(text, text, _STYLES[style], self.source, start, stop)
            self._comment(node)
        else:
            node = Scalar(text, text, "plain", self.source, start, stop)
            if start and self.source.text[start - 1] == "?":
                self._question(node)
            if not text or text[0] in MAYBE:
                self._type(node, None)
            if "${" in text:
                self._cut(node)
        self.last = node
        self.end = stop if style != "|" and style != ">" else node.end
        self.count += 1
        if self.count > self.most:
            self._too_many(start)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(node, 1, 0)
        frame = self.frame
        if frame is not None and frame.keys is not None and not frame.waiting and node.value is text:
            # a key like most, at half the price of `_add`
            frame.waiting = True
            frame.key = node if text != "<<" and frame.keys.setdefault(text, node) is node else self._key(frame, node)
        else:
            self._add(node)

    def _open_mapping(self, event: Any) -> None:
        if self.pause is not None:
            self.pause()
        self._open(event, {})

    def _open_sequence(self, event: Any) -> None:
        self._open(event, None)

    def _open(self, event: Any, keys: dict[str, Scalar] | None) -> None:
        self.count += 1
        if self.count > self.limits.nodes:
            self._too_many(event.start_mark.index)
        if len(self.frames) == self.limits.depth:
            self._too_deep(event.start_mark.index)
        if event.anchor is not None:
            self.open_anchors.add(event.anchor)
            self.anchors.pop(event.anchor, None)
        flow = bool(event.flow_style)
        self.frame = _Frame(event.start_mark.index, flow, keys, event.anchor, event.tag, self.count - 1)
        self.frames.append(self.frame)
        self.end = event.end_mark.index

    def _close(self, event: Any) -> None:
        frame = self.frames.pop()
        self.frame = parent = self.frames[-1] if self.frames else None
        if frame.flow:
            self.end = event.end_mark.index
        node: Node
        if frame.keys is None:
            node = Sequence(tuple(frame.items), self.source, frame.start, self.end)
        elif frame.instead is not None:
            node = Scalar(frame.instead, frame.instead, "plain", self.source, frame.start, self.end)
        else:
            node = Mapping(tuple(frame.items), self.source, frame.start, self.end)
        if frame.tag is not None and frame.tag.removeprefix(CORE) != ("seq" if frame.keys is None else "map"):
            self._unknown_tag(frame.tag, frame.start)
        if frame.anchor is not None:
            self.open_anchors.discard(frame.anchor)
            self.anchors[frame.anchor] = _Anchored(node, self.count - frame.count, frame.below + 1)
        if parent is not None and parent.below <= frame.below:
            parent.below = frame.below + 1
        self._add(node)

    def _alias(self, event: Any) -> None:
        anchored = self.anchors.get(event.anchor)
        self.end = event.end_mark.index
        if anchored is None:
            name = shown(f"*{event.anchor}")
            if event.anchor in self.open_anchors:
                self._stop(
                    codes.ANCHOR, f"{name} stands inside the value that it names", event.start_mark.index, 1, None
                )
            message = f"{name} repeats a value, and no value above is marked `&{event.anchor}`"
            help_ = f'to write text, quote it: `"*{event.anchor}"`'
            self._stop(codes.ANCHOR, message, event.start_mark.index, len(event.anchor) + 1, help_)
        self.count += anchored.size
        if self.count > self.limits.nodes:
            self._too_many(event.start_mark.index)
        if len(self.frames) + anchored.height > self.limits.depth:
            self._too_deep(event.start_mark.index)
        if self.frames:
            self.frames[-1].below = max(self.frames[-1].below, anchored.height)
        self._add(anchored.node)

    # ------------------------------------------------------------ the tree

    def _add(self, node: Node) -> None:
        frame = self.frame
        if frame is None:
            self.root = node
        elif frame.keys is None:
            frame.items.append(node)
        elif frame.waiting:
            frame.waiting = False
            if frame.key is not None:
                frame.items.append((frame.key, node))
                if frame.flow and type(node) is Scalar and not node.text:
                    self._colon(frame.key, node)
        else:
            frame.waiting = True
            frame.key = self._key(frame, node)

    def _key(self, frame: _Frame, node: Node) -> Scalar | None:
        """The scalar when it can be a key here; None, and a finding, when it cannot."""
        if not isinstance(node, Scalar) or node.value is not node.text:
            self._not_text(node)
            return None
        if node.text == "<<" and node.style == "plain":
            message = "`<<` (merge) is not part of YAML 1.2"
            self._report(codes.MERGE, message, node.span, "repeat the keys here, or use a whole value with `*name`")
            return None
        earlier = (frame.keys or {}).setdefault(node.text, node)
        if earlier is node:
            return node
        message = (
            f"key {shown(node.text)} is already defined at {earlier.span.start}; "
            "a YAML loader would silently keep only the last"
        )
        self._report(codes.DUPLICATE, message, node.span, "rename or delete one")
        return None

    def _not_text(self, node: Node) -> None:
        if isinstance(node, Mapping) and self.source.text[max(0, node.start - 1) : node.start] == "{":
            inner = self.source.text[node.start + 1 : node.stop - 1].strip()
            self.frames[-1].instead = "${" + inner + "}"
            message = "`{{ … }}` is not an expression here, and YAML reads it as an object inside an object"
            self._report(codes.UNQUOTED, message, node.span, f"did you mean {quoted('${' + inner + '}')}?")
        elif isinstance(node, Scalar):
            what = "an empty key" if not node.text else f"the key {shown(node.text)} is {_NAMES[type(node.value)]}"
            self._report(codes.KEY, f"{what}; keys are text", node.span, f'quote it: `"{node.text}"`')
        else:
            what = "a list" if isinstance(node, Sequence) else "an object"
            self._report(codes.KEY, f"this key is {what}; keys are text", node.span, None)

    def _colon(self, key: Scalar, value: Scalar) -> None:
        if key.style == "plain" and ":" in key.text and not self.source.text[key.stop : value.start].strip():
            name, _, rest = key.text.partition(":")
            message = f"{shown(key.text)} has no space after the colon, so it is a key without a value"
            self._report(codes.SPACE, message, key.span, f"write {shown(f'{name}: {rest}')}")

    def _top_level(self) -> Mapping:
        if not isinstance(self.root, Mapping):
            self._no_flow(self.root)
        return self.root

    def _no_flow(self, root: Scalar | Sequence | None) -> NoReturn:
        if root is None or (isinstance(root, Scalar) and root.text == "" and root.style == "plain"):
            self._stop(codes.EMPTY, "the file is empty", 0, 0, "a flow begins with `flow: NAME`, then `steps:`")
        if isinstance(root, Sequence):
            message = "the top level is a list; a flow is an object"
            self._stop(codes.TOP_LEVEL, message, root.start, 1, "put the list under a key: `steps:`")
        name, colon, rest = root.text.partition(":")
        if colon and name.isidentifier():
            first = self.source.text[root.start : root.stop].split("\n", 1)[0]
            message = f"{shown(first)} has no space after the colon, so it is text and not a key with a value"
            rest = first.partition(":")[2]
            self._stop(codes.SPACE, message, root.start, len(first), f"write {shown(f'{name}: {rest}')}")
        message = f"the top level is {_NAMES[type(root.value)]}; a flow is an object"
        self._stop(codes.TOP_LEVEL, message, root.start, 1, "a flow begins with `flow: NAME`, then `steps:`")

    # ------------------------------------------------------------ scalars

    def _type(self, node: Scalar, tag: str | None) -> None:
        try:
            node.value = plain_value(node.text) if tag is None else tagged_value(node.text, tag)
        except OutOfRange:
            message = f"the number {shown(node.text)} is too large to be kept as it is written"
            self._report(codes.NUMBER, message, node.span, "quote it to keep it as text")
        except KeyError:
            self._unknown_tag(str(tag), node.start)
        except ValueError:
            name = str(tag).removeprefix(CORE)
            message = f"{shown(node.text)} is not what its tag `!!{name}` says"
            self._report(codes.TAG, message, node.span, "remove the tag, or mend the value")

    def _with_properties(self, event: Any, text: str, style: Style, start: int, stop: int) -> Scalar:
        """A scalar that an anchor or a tag stands before: its own text begins after them."""
        full, index = self.source.text, start
        if event.anchor is not None:
            self._anchor(start, stop, event.anchor)
        while match := _PROPERTY.match(full, index, stop):
            gap = _GAP.match(full, match.end(), stop)
            index = gap.end() if gap else match.end()
        node = Scalar(text, text, style, self.source, index, stop)
        if event.tag is not None:
            node.start = start  # what is wrong with a tag is shown at the tag
            self._type(node, event.tag)
            node.start = index
        elif style == "plain":
            self._type(node, None)
        if style == "plain" and "${" in text:
            self._cut(node)
        return node

    # What YAML 1.2 reads otherwise than the parser, which follows 1.1 there: refused, so that nothing is silently
    # another value than a reader of the file would think.

    def _comment(self, node: Scalar) -> None:
        """A comment begins right behind quoted text, or right behind the `|` or `>` of a block."""
        full, at = self.source.text, node.stop
        if node.style in ("literal", "folded"):
            header = _HEADER.match(full, node.start)
            if header is None:
                return
            at = header.end()
        if full[at : at + 1] == "#":
            span = self.source.span(at, at + 1)
            self._report(codes.SPACE, "a comment begins here without a space before it", span, "write ` #`")

    def _question(self, node: Scalar) -> None:
        """`?` begins a text in YAML 1.2, unless a space follows; for the parser it marks a key."""
        span = self.source.span(node.start - 1, node.stop)
        help_ = f"quote it: {quoted('?' + node.text)}"
        self._report(codes.CHARACTER, f"{shown('?' + node.text)} begins with `?`, which marks a key", span, help_)

    def _anchor(self, start: int, stop: int, name: str) -> None:
        """An anchor goes on to the next space in YAML 1.2; for the parser it ends with its last letter."""
        match = _ANCHOR.search(self.source.text, start, stop)
        if match is not None and match[1] != name:
            span = self.source.span(*match.span())
            message = f"{shown(match[0])} is no name for a value to be repeated"
            self._report(codes.ANCHOR, message, span, f"use letters, digits, `-` and `_`: `&{name}`")

    def _cut(self, node: Scalar) -> None:
        """Reports an expression that a comment cut off, and closes it so that the rest of the check can go on."""
        if len(self.findings) >= _MAX_FINDINGS:
            return
        opened = node.text.rfind("${")
        if "}" in node.text[opened:]:
            return
        full = self.source.text
        comment = _COMMENT.match(full, node.stop)
        if comment is None:
            return
        stop = full.find("\n", comment.end())
        line = full[node.start : stop if stop >= 0 else len(full)].rstrip()
        head = full[full.rfind("\n", 0, node.start) + 1 : node.start]
        message = f"` #` starts a YAML comment; the expression was cut to {shown(node.text[opened:])}"
        mend = "close the expression with `}` before the comment"
        if "}" in line:
            mend = f"quote the value: {quoted_value(head, line)}"
        self._report(codes.CUT, message, self.source.span(comment.end() - 1, comment.end()), mend)
        node.text += _closing(node.text[opened:])
        node.value = node.text

    # ------------------------------------------------------------ findings

    def covers(self, span: Span) -> bool:
        """Whether a syntax error at `span` only follows from an expression that a comment cut off."""
        return any(
            each.code == codes.CUT and each.span.start.line <= span.start.line <= each.span.start.line + 1
            for each in self.findings
        )

    def _report(self, code: str, message: str, span: Span, suggestion: str | None) -> None:
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(Diagnostic(code, message, span, suggestion=suggestion))

    def _stop(self, code: str, message: str, start: int, width: int, suggestion: str | None) -> NoReturn:
        span = self.source.span(start, start + width)
        raise _Stop(Diagnostic(code, message, span, suggestion=suggestion))

    def _unknown_tag(self, tag: str, start: int) -> None:
        index = self.source.text.find("!", start)
        match = _PROPERTY.match(self.source.text, index)
        written = match[0] if match else tag
        message = f"unknown tag {shown(written)}; flow files have only the tags of YAML's core schema"
        span = self.source.span(index, index + len(written))
        self._report(codes.TAG, message, span, "remove it; to begin a text with `!`, quote the text")

    def _too_many(self, start: int) -> NoReturn:
        message = f"the file holds more than {self.limits.nodes:,} values, aliases counted as written out"
        self._stop(codes.LIMIT, message, start, 1, "data belongs in a file that a task reads")

    def _too_deep(self, start: int) -> NoReturn:
        message = f"the file is nested more than {self.limits.depth} levels deep"
        self._stop(codes.LIMIT, message, start, 1, "move a part into a subflow")


_NAMES: dict[type, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def _closing(expression: str) -> str:
    """What closes an expression that was cut off: its quote, and its brackets from the innermost outwards."""
    quote, brackets = "", []
    for each in expression:
        if quote:
            quote = "" if each == quote else quote
        elif each in "'\"":
            quote = each
        elif each in "([{":
            brackets.append(")]}"["([{".index(each)])
        elif each in ")]}" and brackets:
            brackets.pop()
    return quote + "".join(reversed(brackets))
