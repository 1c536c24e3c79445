"""Explains why YAML could not be read on: what the parser says, looked at again with the text in hand.

The rules are tried in order; each looks at one kind of trouble and answers None when it is another kind.
Messages of the C parser and of the pure one differ, so rules go by the words both have in common.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flowlang.diagnostics import Diagnostic, Edit, Fix, Position, Span
from flowlang.document import yaml_codes as codes
from flowlang.document.nodes import Scalar, Source, Style
from flowlang.document.texts import quote, quoted_value, shown
from flowlang.records import frozen


@frozen
class Trouble:
    """`filler` is the stretch of the text that may be blanked out by a quoted text to read on after it."""

    finding: Diagnostic
    filler: tuple[int, int] | None = None


class Place(NamedTuple):
    """A place in the text as the YAML parser counts it: all from 0, in characters."""

    at: int
    line: int
    column: int


@frozen
class _Last:
    """The scalar that was read last."""

    text: str
    style: Style
    first: Place
    last: Place


@frozen
class _Stopped:
    """Where and why the parser stopped."""

    text: str
    file: str
    context: str
    problem: str
    began: Place | None  # what the parser was in
    at: Place  # where it stopped
    last: _Last | None
    opened: Sequence[Place]  # the collections still open

    @property
    def char(self) -> str:
        return self.text[self.at.at : self.at.at + 1]

    def line(self, number: int) -> str:
        """The line `number`, from 0, without its end."""
        mark = self.at if number == self.at.line else self.last.first if self.last else self.at
        start = self.text.rfind("\n", 0, mark.at) + 1
        return self.text[start : self.line_end(mark.at)]

    def line_end(self, index: int) -> int:
        stop = self.text.find("\n", index)
        stop = len(self.text) if stop < 0 else stop
        return stop - 1 if self.text[stop - 1 : stop] == "\r" else stop

    def finding(self, code: str, message: str, mark: Place, width: int, help_: str | None, **more: Any) -> Diagnostic:
        start = Position(mark.line + 1, mark.column + 1)
        span = Span(start, Position(start.line, start.column + max(width, 1)), self.file)
        return Diagnostic(code, message, span, suggestion=help_, **more)


_Rule = Callable[[_Stopped], Trouble | None]


def explain(error: Any, source: Source, reading: str, last: Scalar | None, opened: Sequence[int]) -> Trouble:
    """The finding for a `yaml.YAMLError` that came while `reading` was read. `last` is the scalar read last,
    `opened` the indexes at which the collections still open begin."""
    began = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or began
    index = mark.index if mark is not None else getattr(error, "position", 0) or 0
    stopped = _Stopped(
        reading,
        source.file,
        str(getattr(error, "context", None) or ""),
        str(getattr(error, "problem", None) or getattr(error, "reason", None) or error),
        _place(source, began.index) if began is not None else None,
        _place(source, index),
        None if last is None else _Last(last.text, last.style, _place(source, last.start), _place(source, last.stop)),
        [_place(source, each) for each in opened],
    )
    for rule in _RULES:
        trouble = rule(stopped)
        if trouble is not None:
            return trouble
    message = f"YAML cannot be read on from here: {stopped.problem}"
    return Trouble(stopped.finding(codes.SYNTAX, message, stopped.at, 1, None))


def _place(source: Source, index: int) -> Place:
    position = source.position(index)
    return Place(index, position.line - 1, position.column - 1)


# ---------------------------------------------------------------- expressions


def _expression(stopped: _Stopped) -> Trouble | None:
    """`[${x}]`, `{id: ${x}}`: the brace after the dollar is YAML's. `${a == 'x: y'}`: the colon is."""
    last, text = stopped.last, stopped.text
    if last is None or last.style != "plain" or last.first.at >= stopped.at.at:
        return None
    first = last.first.at
    if stopped.char == "{" and text[stopped.at.at - 1] == "$":
        end = _flow_value_end(text, first)
        why = "inside `[…]` or `{…}` a brace ends the text, so the expression must be quoted"
    elif "mapping values" in stopped.problem and last.first.line == stopped.at.line and "${" in last.text:
        end = stopped.line_end(first)
        inside = "}" not in last.text[last.text.rfind("${") :]
        why = "`: ` begins a value in unquoted text, " + (
            "and this one stands inside an expression"
            if inside
            else "so text with an expression and `: ` must be quoted"
        )
    else:
        return None
    value = text[first:end].rstrip()
    span_end = Position(last.first.line + 1, last.first.column + 1 + len(value))
    span = Span(Position(last.first.line + 1, last.first.column + 1), span_end, stopped.file)
    fix = Fix("quote the value", (Edit(span, quote(value)),), safe=True)
    help_ = f"write {quoted_value(stopped.line(last.first.line), value)}"
    return Trouble(Diagnostic(codes.UNQUOTED, why, span, suggestion=help_, fix=fix), (first, first + len(value)))


def _flow_value_end(text: str, index: int) -> int:
    """Where an unquoted value inside brackets ends when expressions in it are taken as one piece."""
    while index < len(text) and text[index] not in ",]}\r\n":
        index = _expression_end(text, index + 1) if text.startswith("${", index) else index + 1
    return index


def _expression_end(text: str, index: int) -> int:
    """The index after the brace that closes the one at `index`, or the end of the line."""
    depth, open_quote = 0, ""
    for at in range(index, len(text)):
        char = text[at]
        if char in "\r\n":
            return at
        if open_quote:
            open_quote = "" if char == open_quote else open_quote
        elif char in "'\"":
            open_quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return at + 1
    return len(text)


# ---------------------------------------------------------------- tabs and indentation

_LEADING = re.compile(r"[ ]*\t[ \t]*(?=[^\s#])")
_ENTRY = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s#'"\[\]{}][^\n]*?)\s*:(?=\s|$)""")
_GLUED = re.compile(r"[A-Za-z_][\w.-]*:[^\s/:]")
_MAX_EDITS = 200


def _tab(stopped: _Stopped) -> Trouble | None:
    line = stopped.line(stopped.at.line)
    match = _LEADING.match(line)
    if match is None and "tab character" not in stopped.problem and stopped.char != "\t":
        return None
    column = line.find("\t") if match else stopped.at.column
    mark = Place(stopped.at.at, stopped.at.line, column)
    if match is None:
        message, help_ = "a tab stands where YAML wants spaces", "replace it by spaces"
        return Trouble(stopped.finding(codes.TAB, message, mark, 1, help_))
    edits: list[Edit] = []
    for number, each in enumerate(stopped.text.split("\n"), 1):
        tabs = _LEADING.match(each)
        if tabs and len(edits) < _MAX_EDITS:
            span = Span(Position(number, 1), Position(number, tabs.end() + 1), stopped.file)
            edits.append(Edit(span, tabs[0].expandtabs(2)))
    notes = (f"{len(edits)} lines are indented with tabs",) if len(edits) > 1 else ()
    fix = Fix("indent with spaces", tuple(edits))
    message = "a tab indents this line; YAML indents with spaces only"
    finding = stopped.finding(codes.TAB, message, mark, 1, "replace it by spaces", notes=notes, fix=fix)
    return Trouble(finding)


def _indentation(stopped: _Stopped) -> Trouble | None:
    """A key or dash at the beginning of a line that is in no column of its surroundings."""
    if not ("block" in stopped.context or "mapping values" in stopped.problem):
        return None
    line = stopped.line(stopped.at.line)
    column = len(line) - len(line.lstrip(" "))
    if "block" in stopped.context and column != stopped.at.column:
        return None
    dash = line[column : column + 2] in ("-", "- ")
    if not dash and not _ENTRY.match(line, column):
        return None
    sibling = _sibling(stopped.text, stopped.at, column, dash)
    if sibling is None or sibling[1] == column:
        return None
    where, theirs, name = sibling
    missing = theirs - column
    amount = f"{abs(missing)} space{'s' if abs(missing) > 1 else ''}"
    what = "list item" if dash else "key"
    message = (
        f"bad indentation: this {what} starts at column {column + 1} but its siblings "
        f"(`{name}`, {where}:{theirs + 1}) start at column {theirs + 1}"
    )
    number = stopped.at.line + 1
    span = Span(Position(number, 1), Position(number, 1 + max(0, -missing)), stopped.file)
    help_ = f"{'add' if missing > 0 else 'remove'} {amount}"
    fix = Fix(help_, (Edit(span, " " * max(0, missing)),))
    entry = _ENTRY.match(line, column)
    width = 1 if dash or entry is None else len(entry[0].rstrip(":"))
    mark = Place(0, stopped.at.line, column)
    return Trouble(stopped.finding(codes.INDENTATION, message, mark, width, help_, fix=fix))


def _sibling(text: str, at: Place, column: int, dash: bool) -> tuple[int, int, str] | None:
    """The key (or dash) above whose column is nearest: its line from 1, its column from 0, its name."""
    best: tuple[int, int, str] | None = None
    ceiling = 1 << 30
    lines = text[: text.rfind("\n", 0, at.at) + 1].split("\n")[:-1]
    for number in range(len(lines), 0, -1):
        line = lines[number - 1]
        start = len(line) - len(line.lstrip(" "))
        if not line.strip() or line[start] == "#":
            continue
        for where, name in _columns(line, start):
            fits = where < ceiling and (name == "-") is dash
            if fits and (best is None or abs(where - column) < abs(best[1] - column)):
                best = (number, where, name)
        ceiling = min(ceiling, start)
        if ceiling == 0:
            break
    return best


def _columns(line: str, column: int) -> list[tuple[int, str]]:
    """The dashes and the key that a line begins with, innermost first."""
    found: list[tuple[int, str]] = []
    while line[column : column + 2] == "- ":
        found.insert(0, (column, "-"))
        column += 2 + len(line[column + 2 :]) - len(line[column + 2 :].lstrip(" "))
    entry = _ENTRY.match(line, column)
    if entry:
        found.insert(0, (column, entry[0].rstrip(": \t")))
    return found


# ---------------------------------------------------------------- colons and lines


def _colons(stopped: _Stopped) -> Trouble | None:
    """`id:x`, a key that lost its colon, and `: ` inside a value."""
    last = stopped.last
    if "mapping values" in stopped.problem and last is not None:
        line = stopped.line(last.first.line)
        head = line[: last.first.column]
        if last.first.line < stopped.at.line:
            glued = _GLUED.match(line, last.first.column) if last.style == "plain" else None
            if glued:
                return _space(stopped, last.first, line)
            if not head.strip(" -"):
                return _no_colon(stopped, last.first, line)
        elif last.style == "plain" and head.strip(" -"):
            end = stopped.line_end(last.first.at)
            value = stopped.text[last.first.at : end].rstrip()
            message = "`: ` begins a value, and this is already one; unquoted text cannot have it"
            help_ = f"write {quoted_value(line, value)}"
            finding = stopped.finding(codes.SYNTAX, message, stopped.at, 1, help_)
            return Trouble(finding, (last.first.at, last.first.at + len(value)))
    if "expected ':'" in stopped.problem and stopped.began is not None:
        start = stopped.text.rfind("\n", 0, stopped.began.at) + 1
        line = stopped.text[start : stopped.line_end(stopped.began.at)]
        if _GLUED.match(line, stopped.began.column):
            return _space(stopped, stopped.began, line)
        return _no_colon(stopped, stopped.began, line)
    return None


def _space(stopped: _Stopped, mark: Place, line: str) -> Trouble:
    written = line[mark.column :].rstrip()
    name = written.partition(":")[0]
    message = f"{shown(f'{name}:…')} has no space after the colon, so it is text and not a key with a value"
    place = Position(mark.line + 1, mark.column + len(name) + 2)
    fix = Fix("add the space", (Edit(Span(place, place, stopped.file), " "),), safe=True)
    return Trouble(stopped.finding(codes.SPACE, message, mark, len(name) + 1, f"write `{name}: …`", fix=fix))


def _no_colon(stopped: _Stopped, mark: Place, line: str) -> Trouble:
    written = line[mark.column :].split(" #")[0].rstrip()
    if not re.fullmatch(r"[\w.-]+", written):
        message = "this line is neither `key: value` nor a list item"
        return Trouble(stopped.finding(codes.SYNTAX, message, mark, len(written), None))
    message = f"{shown(written)} is neither `key: value` nor a list item"
    return Trouble(stopped.finding(codes.SYNTAX, message, mark, len(written), f"did you mean `{written}:`?"))


def _list_place(stopped: _Stopped) -> Trouble | None:
    if "sequence entries are not allowed" in stopped.problem:
        message = "a list cannot begin on the line of its key"
        return Trouble(
            stopped.finding(codes.SYNTAX, message, stopped.at, 1, "begin it on the next line, two columns in")
        )
    if "block collection" in stopped.context:
        message = "this line stands among list items but does not begin with `- `"
        began = stopped.began
        notes = (f"the list begins at {began.line + 1}:{began.column + 1}",) if began else ()
        help_ = "indent it under the item above, or begin it with `- `"
        return Trouble(stopped.finding(codes.INDENTATION, message, stopped.at, 1, help_, notes=notes))
    if "block mapping" in stopped.context and stopped.char == "-":
        message = "a list item stands among the keys of an object"
        return Trouble(stopped.finding(codes.INDENTATION, message, stopped.at, 1, "indent the list under its key"))
    return None


# ---------------------------------------------------------------- quotes, brackets, characters


def _quotes(stopped: _Stopped) -> Trouble | None:
    last = stopped.last
    if "quoted scalar" in stopped.context and stopped.began is not None:
        if "escape" in stopped.problem or "hexadecimal" in stopped.problem:
            return _escape(stopped)
        mark = stopped.text[stopped.began.at : stopped.began.at + 1]
        message = f"the quote `{mark}` is opened here and never closed"
        return Trouble(stopped.finding(codes.QUOTE, message, stopped.began, 1, f"add `{mark}` where the text ends"))
    if last is None or last.style not in ("single", "double") or last.last.line != stopped.at.line:
        return None
    if stopped.text[last.last.at : stopped.at.at].strip():
        return None
    mark = "'" if last.style == "single" else '"'
    if last.first.line < last.last.line:
        where = f"{last.last.line + 1}:{last.last.column}"
        message = f"the quote `{mark}` that is opened here is closed only at {where}, and text follows"
        help_ = f"add `{mark}` where the text ends, on line {last.first.line + 1}"
        return Trouble(stopped.finding(codes.QUOTE, message, last.first, 1, help_))
    twice = "write it twice inside the text" if mark == "'" else 'write `\\"` inside the text'
    message = f"text follows the closing quote `{mark}`"
    help_ = f"quote the whole value; if the quote belongs to the text, {twice}"
    return Trouble(stopped.finding(codes.QUOTE, message, stopped.at, 1, help_))


def _escape(stopped: _Stopped) -> Trouble:
    index = stopped.at.at
    back = stopped.text.rfind("\\", max(0, index - 12), index + 1)
    back = back if back >= 0 else index
    place = Place(back, stopped.at.line, stopped.at.column + back - index)
    written = stopped.text[back : back + 2]
    message = f"{shown(written)} is not an escape that double quotes know"
    help_ = f"write `\\{written}` for the two characters, or use single quotes"
    return Trouble(stopped.finding(codes.ESCAPE, message, place, len(written), help_))


_CLOSERS = {"[": "]", "{": "}"}


def _brackets(stopped: _Stopped) -> Trouble | None:
    if "flow" not in stopped.context:
        return None
    began = stopped.began
    if "node" in stopped.context or began is None:  # the parser names the place, not the bracket
        began = next((each for each in reversed(stopped.opened) if stopped.text[each.at] in _CLOSERS), None)
    if began is None:
        return None
    bracket = stopped.text[began.at]
    closer = _CLOSERS.get(bracket, "]")
    if stopped.char in ("]", "}") and stopped.char != closer:
        message = f"`{stopped.char}` closes the `{bracket}` opened at {began.line + 1}:{began.column + 1}"
        return Trouble(stopped.finding(codes.BRACKET, message, stopped.at, 1, f"did you mean `{closer}`?"))
    if stopped.at.line > began.line and stopped.char not in (",", closer):
        message = f"the `{bracket}` is opened here and not closed"
        return Trouble(stopped.finding(codes.BRACKET, message, began, 1, f"add `{closer}` where it ends"))
    if "node" in stopped.context:
        message = f"a value is missing before `{stopped.char}`"
        return Trouble(stopped.finding(codes.SYNTAX, message, stopped.at, 1, None))
    message = f"`,` or `{closer}` is expected here"
    notes = (f"the `{bracket}` is opened at {began.line + 1}:{began.column + 1}",)
    return Trouble(stopped.finding(codes.SYNTAX, message, stopped.at, 1, None, notes=notes))


_RESERVED = {
    "*": "begins an alias in YAML",
    "&": "begins an anchor in YAML",
    "!": "begins a tag in YAML",
    "%": "begins a directive in YAML",
}


def _characters(stopped: _Stopped) -> Trouble | None:
    begins = ("scanning an alias", "scanning an anchor", "scanning a tag", "parsing a node")
    if any(each in stopped.context for each in begins) and stopped.began is not None:
        mark = stopped.began
    elif "cannot start any token" in stopped.problem or "node content" in stopped.problem:
        mark = stopped.at
    else:
        return None
    char = stopped.text[mark.at : mark.at + 1]
    if not char.strip():
        return None
    why = _RESERVED.get(char, "cannot begin unquoted text")
    if any(each.at < mark.at and stopped.text[each.at] in _CLOSERS for each in stopped.opened):
        end = _flow_value_end(stopped.text, mark.at)
    else:
        end = stopped.line_end(mark.at)
    value = stopped.text[mark.at : end].rstrip()
    start = stopped.text.rfind("\n", 0, mark.at) + 1
    help_ = f"write {quoted_value(stopped.text[start:end], value)}" if value else "quote it"
    finding = stopped.finding(codes.CHARACTER, f"{shown(char)} {why}", mark, 1, help_)
    return Trouble(finding, (mark.at, mark.at + len(value)) if len(value) > 1 else None)


def _blocks(stopped: _Stopped) -> Trouble | None:
    if "block scalar" in stopped.context and "tab" not in stopped.problem:
        mark = stopped.began or stopped.at
        sign = stopped.text[mark.at : mark.at + 1]
        message = f"after `{sign}` only `+`, `-`, a digit or a comment may follow; the text begins on the next line"
        return Trouble(stopped.finding(codes.SYNTAX, message, stopped.at, 1, None))
    return None


_RULES: tuple[_Rule, ...] = (
    _expression,
    _blocks,
    _tab,
    _quotes,
    _brackets,
    _colons,
    _indentation,
    _list_place,
    _characters,
)
