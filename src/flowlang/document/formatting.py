"""The canonical form of a flow file: `format_text`.

Layout is all that changes: indentation, spaces, empty lines, quotes, line breaks around brackets. Nothing is put in
another order, no comment is lost, and what the text means is compared before and after (docs/fmt.md has the rules).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from flowlang.diagnostics import has_errors
from flowlang.document import yaml_codes as codes
from flowlang.document.positions import block_lines
from flowlang.document.scalar_style import as_key, block_header, continued, is_text, on_one_line
from flowlang.document.source import LIMITS
from flowlang.document.written import Comment, Document, Written
from flowlang.document.yaml_reader import read_yaml
from flowlang.exceptions import InvalidFlowError

WIDTH = 120  # columns up to which a list or an object in brackets stays on one line
_LONGEST_KEY = 1000  # characters; YAML wants longer ones marked by `?`


def format_text(text: str | bytes, file: str = "<text>") -> str:
    """`text` in its canonical form: the same flow, the same comments. Formatting the result changes nothing.

    Raises `InvalidFlowError` with the findings when the text is not YAML that a flow file may be; other mistakes in
    the flow do not matter here. Line endings stay those of the first line.
    """
    _, findings = read_yaml(text, file)
    only_comments = [each.code for each in findings] == [codes.EMPTY]
    if has_errors(findings) and not only_comments:
        first = next(each for each in findings if each.severity == "error")
        raise InvalidFlowError(f"{first.span}: {first.message}", findings)
    shown = text.decode("utf-8") if isinstance(text, bytes) else text
    newline = "\r\n" if shown.partition("\n")[0].endswith("\r") else "\n"
    document = Document(shown.removeprefix("\ufeff").replace("\r\n", "\n"))
    lines = _Writer(document).write()
    formatted = "".join(f"{line}\n" for line in lines)
    if len(formatted) > LIMITS.size or len(formatted.encode()) > LIMITS.size:
        raise InvalidFlowError(f"{file}: formatted, it would be larger than 1 MiB")
    _verify(document, Document(formatted), file)
    return formatted.replace("\n", newline) if newline != "\n" else formatted


def _verify(document: Document, formatted: Document, file: str) -> None:
    """Raises `AssertionError` when the text means something else, or a comment is gone: a defect of ours, after
    which nothing may be written."""
    one, other = document.root, formatted.root
    same = _same(one, other) if one is not None and other is not None else one is other
    if not same or [each.text for each in document.comments] != [each.text for each in formatted.comments]:
        raise AssertionError(f"formatting {file} would change what it means")


def _same(one: Written, other: Written) -> bool:
    """Whether two trees mean the same. Of two equal texts, both or none have to be typed as plain ones are."""
    if one.kind != other.kind or one.properties != other.properties or one.text != other.text:
        return False
    if one.style != other.style and "plain" in (one.style, other.style) and "!" not in one.properties:
        return is_text(one.text)
    return len(one.children) == len(other.children) and all(map(_same, one.children, other.children))


class _Writer:
    """Writes a document line by line, in the order of its text. `comments` are those still to be written."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self.comments = document.comments
        self.indexes = [each.index for each in document.comments]
        self.next = 0  # the comment to be written next
        self.last = 0  # where the value written last ends
        self.lines: list[str] = []

    def write(self) -> list[str]:
        document, root = self.document, self.document.root
        if document.marker is not None:
            self._comments(document.marker, 0)
            self._line("---", document.marker + 3)
        if root is not None:
            if root.properties:
                self._comments(root.begin, 0)
                self._line(root.properties, root.start)
            self._sections(root)
        self._comments(len(self.text) + 1, 0)
        return self.lines

    # ------------------------------------------------------------ blocks

    def _sections(self, root: Written) -> None:
        """The top level. A section of several lines is set off by an empty line."""
        tall = False
        for number, (key, value) in enumerate(_pairs(root)):
            at = len(self.lines)
            first = number == 0
            self._before(_reach(key, value), key.begin, 0, first=first)
            began = len(self.lines)
            self._entry("", key, value, 0)
            was_tall, tall = tall, len(self.lines) - began > 1
            if not first and (tall or was_tall) and "" not in self.lines[at - 1 : began]:
                self.lines.insert(at, "")

    def _children(self, node: Written, indent: int, lead: str | None = None, *, least: int = 0) -> None:
        """The entries of a mapping or the items of a list. `lead` stands before the first in place of spaces;
        comments after the last that begin left of the column `least` belong to what is outside."""
        pad = " " * indent
        if node.kind == "mapping":
            for number, (key, value) in enumerate(_pairs(node)):
                self._before(_reach(key, value), key.begin, indent, first=number == 0)
                self._entry(pad if number or lead is None else lead, key, value, indent)
        else:
            for number, item in enumerate(node.children):
                self._before(_reach_item(item), item.begin, indent, first=number == 0)
                self._value(f"{pad if number or lead is None else lead}-", item, indent)
        self._after(node, indent, least)

    def _entry(self, pad: str, key: Written, value: Written, indent: int) -> None:
        word = self._key(key, brackets=False)
        least = self.document.column_of(key.begin) + 1
        if len(word) > _LONGEST_KEY:
            self.lines.append(f"{pad}? {word}")
            self._value(f"{' ' * indent}:", value, indent, least)
        else:
            self._value(f"{pad}{word}{' ' if key.kind == 'alias' else ''}:", value, indent, least)

    def _value(self, head: str, node: Written, indent: int, least: int = 0) -> None:
        """A node after `head`, which is a key with its colon or the dash of an item; what is inside it stands two
        columns deeper than `indent`."""
        inline = self._inline(node, WIDTH - len(head) - 1)
        if inline is not None:
            self._line(_joined(head, inline), node.stop)
        elif node.kind == "scalar":
            self._lines_of(_joined(head, node.properties), node, indent + 2)
        elif head.endswith("-") and not node.properties:
            outside = len(head) - len(head.lstrip())
            self._comments(_reach_first(node), outside, first=True)
            self._children(node, indent + 2, f"{head} ")
        else:
            line = _joined(head, node.properties)
            comment = self._pending()
            if comment is not None and not comment.alone and comment.index < node.children[0].begin:
                line = f"{line} {comment.text}"
                self.next += 1
            self.lines.append(line)
            self._children(node, indent + 2, least=least)

    def _lines_of(self, head: str, node: Written, indent: int) -> None:
        """A scalar of several lines."""
        raw = self.text[node.start : node.stop]
        if node.style not in ("literal", "folded"):
            first, *rest = continued(raw, node.style, indent)
            self.lines.append(_joined(head, first))
            self.lines += rest[:-1]
            self._line(rest[-1], node.stop)
            return
        _, mark, comment = raw.partition("\n")[0].partition("#")
        self.lines.append(_joined(head, block_header(node.style, node.text, (mark + comment).rstrip())))
        written = [raw[each.start : each.end] for each in block_lines(raw, node.text)]
        while written and not written[-1]:
            written.pop()
        self.lines += [" " * indent + line if line else "" for line in written]
        breaks = len(node.text) - len(node.text.rstrip("\n"))
        self.lines += [""] * (breaks - 1 if written else breaks)
        self.last = node.stop

    # ------------------------------------------------------------ on one line

    def _inline(self, node: Written, room: int) -> str | None:
        """The node on one line: None when it does not go there. A scalar of one line always does."""
        if node.is_leaf:
            return self._scalar(node, brackets=False)
        if not node.flow:
            return None
        if not node.children:
            return _joined(node.properties, "{}" if node.kind == "mapping" else "[]")
        if self._is_commented(node):
            return None
        text = self._brackets(node, room)
        return text if text is not None and len(text) <= room else None

    def _brackets(self, node: Written, room: int) -> str | None:
        """A list or an object in brackets; None when it needs more than `room` columns or several lines."""
        parts, used = [], 0
        for part in self._parts(node, room):
            if part is None or (used := used + len(part) + 2) > room:
                return None
            parts.append(part)
        joined = ", ".join(parts)
        return _joined(node.properties, f"{{{joined}}}" if node.kind == "mapping" else f"[{joined}]")

    def _parts(self, node: Written, room: int) -> Iterator[str | None]:
        if node.kind == "sequence":
            yield from (self._part(each, room) for each in node.children)
            return
        for key, value in _pairs(node):
            word, part = self._key(key, brackets=True), self._part(value, room)
            colon = " :" if key.kind == "alias" else ":"
            if not part and ":" in word:
                part = None  # `{a:b}` looks like a forgotten space
            yield None if part is None else f"{word}{colon} {part}" if part else word

    def _part(self, node: Written, room: int) -> str | None:
        if not node.is_leaf:
            return self._brackets(node, room)
        if node.properties and not node.text:
            return None
        return self._scalar(node, brackets=True)

    def _scalar(self, node: Written, *, brackets: bool) -> str | None:
        """A scalar or an alias of one line."""
        if node.kind == "alias":
            return node.text
        raw = self.text[node.start : node.stop]
        if node.style in ("literal", "folded") or "\n" in raw:
            return None
        return _joined(node.properties, on_one_line(node.text, node.style, raw, brackets=brackets))

    def _key(self, key: Written, *, brackets: bool) -> str:
        if key.kind == "alias":
            return key.text
        raw = self.text[key.start : key.stop] or '""'  # empty, with a tag that says it is text
        return _joined(key.properties, as_key(key.text, key.style, raw, brackets=brackets))

    # ------------------------------------------------------------ comments and empty lines

    def _pending(self) -> Comment | None:
        return self.comments[self.next] if self.next < len(self.comments) else None

    def _line(self, line: str, stop: int) -> None:
        """Writes the last line of what ends at `stop` in the source, with the comment beside it."""
        comment = self._pending()
        beside = comment is not None and not comment.alone and comment.after <= stop <= comment.index
        if comment is not None and beside and comment.line == self.document.line_of(stop):
            line = f"{line} {comment.text}"
            self.next += 1
        self.lines.append(line)
        self.last = stop

    def _before(self, stop: int, begin: int, indent: int, *, first: bool) -> None:
        """Writes the comments before `stop`, and keeps one empty line before what begins at `begin`. The `first` in
        a block has none above it."""
        at = len(self.lines)
        self._comments(stop, indent, first=first)
        if (not first or len(self.lines) > at) and self.document.is_after_blank(begin):
            self._blank()

    def _comments(self, stop: int, indent: int, *, first: bool = False) -> None:
        while (comment := self._pending()) and comment.index < stop:
            if not first and self.document.is_after_blank(comment.index):
                self._blank()
            first = False
            self.lines.append(" " * indent + comment.text)
            self.next += 1

    def _after(self, node: Written, indent: int, least: int) -> None:
        """Writes the comments at the end of a block: inside its brackets, or not less indented than its entries."""
        if node.flow:
            self._comments(node.stop, indent)
            self.last = node.stop
            return
        begin = node.children[0].begin if node.kind == "mapping" else node.start
        least = max(least, self.document.column_of(begin))
        end = self.document.line_of(self.last)
        while (comment := self._pending()) and comment.after <= self.last:
            if comment.column < least if comment.alone else comment.line != end:
                break
            self._comments(comment.index + 1, indent)

    def _blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def _is_commented(self, node: Written) -> bool:
        """Whether a comment stands inside the brackets of a list or an object."""
        after = bisect_right(self.indexes, node.start)
        return after < len(self.indexes) and self.indexes[after] < node.stop


def _pairs(node: Written) -> Iterator[tuple[Written, Written]]:
    return zip(node.children[::2], node.children[1::2], strict=True)


def _reach(key: Written, value: Written) -> int:
    """Comments before this index stand above the entry: also those between a key and a value on the same line."""
    return value.start if value.is_leaf or value.flow else key.begin


def _reach_item(item: Written) -> int:
    if item.is_leaf or item.flow:
        return item.start
    return item.begin if item.properties else _reach_first(item)


def _reach_first(node: Written) -> int:
    """Of the first entry or item of a collection."""
    return _reach(*node.children[:2]) if node.kind == "mapping" else _reach_item(node.children[0])


def _joined(*parts: str) -> str:
    return " ".join(each for each in parts if each)
