"""Findings: where something is wrong in a text, what, and how to mend it.

A `Diagnostic` is data. Every part of FlowLang that reads a text makes them; `render`, `to_record`, `to_sarif`
and `to_github` are pure functions from them to what people and tools read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from flowlang.records import frozen

Severity = Literal["error", "warning", "hint"]


class Position(NamedTuple):
    """A place in a text. `line` and `column` count characters from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class Span(NamedTuple):
    """A stretch of a text: `start` inclusive, `end` exclusive, in the file named `file`."""

    start: Position
    end: Position
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.start}" if self.file else str(self.start)


class Words:
    """A text for a finding, put together from `parts` when it is read: most are worked out for names that nobody
    mistakes. `pattern` is that of `str.format`."""

    __slots__ = ("_parts", "_pattern")

    def __init__(self, pattern: str, *parts: object) -> None:
        self._pattern = pattern
        self._parts = parts

    def __str__(self) -> str:
        return self._pattern.format(*self._parts)


Text = str | Words


@frozen
class Edit:
    """Replace the text at `span` by `text`."""

    span: Span
    text: str


@frozen
class Fix:
    """A mend a tool may apply: `edits` together; `safe` when it cannot change what a valid flow means."""

    title: str
    edits: tuple[Edit, ...]
    safe: bool = False


@frozen
class Diagnostic:
    """One finding.

    `code` is a kebab-case word that `flowlang explain` knows. `message` names the thing in backticks, says
    what is wrong and what would be right; `notes` add facts, `suggestion` is one concrete remedy.
    """

    code: str
    message: str
    span: Span
    severity: Severity = "error"
    notes: tuple[str, ...] = ()
    suggestion: str | None = None
    fix: Fix | None = None

    def to_record(self) -> dict[str, Any]:
        """The finding as every machine-readable output shows it."""
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "file": self.span.file,
            "line": self.span.start.line,
            "column": self.span.start.column,
            "end_line": self.span.end.line,
            "end_column": self.span.end.column,
            "notes": list(self.notes),
            "suggestion": self.suggestion,
            "fix": self.fix
            and {
                "title": self.fix.title,
                "safe": self.fix.safe,
                "edits": [
                    {
                        "line": edit.span.start.line,
                        "column": edit.span.start.column,
                        "end_line": edit.span.end.line,
                        "end_column": edit.span.end.column,
                        "text": edit.text,
                    }
                    for edit in self.fix.edits
                ],
            },
        }


Fixing = Literal["certain", "guess", ""]


@frozen
class Code:
    """A kind of finding: its name, one line, and its page (markdown with an example).

    `fix` says what comes with such findings at best: a fix that is safe (`certain`), one that somebody has to look at
    (`guess`), or none.
    """

    name: str
    title: str
    page: str
    fix: Fixing = ""


CODES: dict[str, Code] = {}


def code(name: str, page: str, *, fix: Fixing = "") -> str:
    """Register the kind of finding `name`; the first line of `page` is its title. Returns `name`."""
    if name in CODES:
        raise ValueError(f"finding code {name!r} is defined twice")
    lines = [line.strip() for line in page.strip().splitlines()]
    CODES[name] = Code(name, lines[0].rstrip("."), page, fix)
    return name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` most likely meant, or None."""
    candidates = list(known)
    folded = {each.casefold().replace("-", "_"): each for each in candidates}
    same = folded.get(name.casefold().replace("-", "_"))
    if same is not None:
        return same
    import difflib

    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return close[0] if close else None


def one_slip(written: str, meant: str) -> bool:
    """Whether one character too many, too few, wrong, or a swap of two is all that tells the words apart."""
    if written == meant or abs(len(written) - len(meant)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    if same is None:
        return True
    a, b = written[same:], meant[same:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def respelt(span: Span, meant: str | None, written: str = "", words: Iterable[str] = ()) -> Fix | None:
    """The fix that writes `meant` at `span`, where `written` stands; None without one.

    `words`: all that may stand there, when they are words of the language or of a signature, which nobody chose for
    this flow. Then the fix is safe if `meant` is the only one of them a slip away, and long enough that a slip is not
    another word. Names that the author chose (`db1`, `db2`) and what decides where an effect goes are never safe.
    """
    if meant is None:
        return None
    near = [each for each in words if one_slip(written, each)]
    return Fix(f"write `{meant}`", (Edit(span, meant),), safe=near == [meant] and len(meant) >= 4)


def ordered(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings by file and position, each root cause once."""
    unique = {(each.span.file, each.span.start, each.code, each.message): each for each in findings}
    return [unique[key] for key in sorted(unique)]


def has_errors(findings: Iterable[Diagnostic]) -> bool:
    return any(each.severity == "error" for each in findings)


def strict(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The same findings with every warning counted as an error."""
    return [replace(each, severity="error") if each.severity == "warning" else each for each in findings]


_PALETTE = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "hint": "\x1b[1;36m", "frame": "\x1b[34m", "off": "\x1b[0m"}


def visible(text: str) -> str:
    """`text` with control and direction-changing characters shown as escapes, so it cannot redraw a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else _escaped(ord(c)) for c in text)


def _escaped(point: int) -> str:
    return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def render(finding: Diagnostic, source: str | None = None, *, colour: bool = False) -> str:
    """The finding as people read it, with the source line and carets when `source` is given."""

    def paint(text: str, style: str) -> str:
        return f"{_PALETTE[style]}{text}{_PALETTE['off']}" if colour else text

    head = paint(f"{finding.severity}[{finding.code}]", finding.severity)
    lines = [f"{head}: {visible(finding.message)}"]
    number = str(finding.span.start.line)
    gutter = " " * len(number)
    lines.append(f"{gutter} {paint('-->', 'frame')} {visible(finding.span.file or '<text>')}:{finding.span.start}")
    lines.extend(_snippet(finding, source, number, gutter, paint))
    lines.extend(f"{gutter} {paint('=', 'frame')} note: {visible(note)}" for note in finding.notes)
    if finding.suggestion:
        lines.append(f"{gutter} {paint('=', 'frame')} help: {visible(finding.suggestion)}")
    return "\n".join(lines)


def _snippet(finding: Diagnostic, source: str | None, number: str, gutter: str, paint: Any) -> Iterator[str]:
    rows = source.split("\n") if source is not None else []
    line = finding.span.start.line
    if not 1 <= line <= len(rows):
        return
    row = rows[line - 1].rstrip("\r")
    first = finding.span.start.column - 1
    last = finding.span.end.column - 1 if finding.span.end.line == line else len(row)
    row, first, last = _window(row, first, max(last, first + 1))
    pad = "".join("\t" if c == "\t" else " " for c in row[:first])
    bar = paint("|", "frame")
    yield f"{gutter} {bar}"
    yield f"{number} {bar} {visible(row)}"
    yield f"{gutter} {bar} {pad}{paint('^' * max(1, last - first), finding.severity)}"


def _window(row: str, first: int, last: int, width: int = 160) -> tuple[str, int, int]:
    """The part of a very long line around the finding, and where the finding stands in it."""
    if len(row) <= width:
        return row, min(first, len(row)), min(last, max(len(row), first + 1))
    start = max(0, first - width // 2)
    stop = start + width
    return row[start:stop], first - start, min(last, stop) - start


def to_sarif(findings: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS), as code-scanning services read it."""
    levels = {"error": "error", "warning": "warning", "hint": "note"}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "flowlang",
                        "version": version,
                        "rules": [
                            {"id": name, "shortDescription": {"text": CODES[name].title if name in CODES else name}}
                            for name in sorted({each.code for each in findings})
                        ],
                    }
                },
                "results": [
                    {
                        "ruleId": each.code,
                        "level": levels[each.severity],
                        "message": {"text": "\n".join([each.message, *each.notes, *filter(None, [each.suggestion])])},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": each.span.file},
                                    "region": _region(each.span),
                                }
                            }
                        ],
                    }
                    | _sarif_fixes(each)
                    for each in findings
                ],
            }
        ],
    }


def _sarif_fixes(finding: Diagnostic) -> dict[str, Any]:
    if finding.fix is None:
        return {}
    replacements: dict[str, list[dict[str, Any]]] = {}
    for edit in finding.fix.edits:
        replaced = {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
        replacements.setdefault(edit.span.file, []).append(replaced)
    changes = [{"artifactLocation": {"uri": file}, "replacements": each} for file, each in replacements.items()]
    return {"fixes": [{"description": {"text": finding.fix.title}, "artifactChanges": changes}]}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.start.line,
        "startColumn": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
    }


def to_github(finding: Diagnostic) -> str:
    """One workflow command, which GitHub shows beside the line it names."""
    level = {"error": "error", "warning": "warning", "hint": "notice"}[finding.severity]

    def escaped(text: str, more: str = "") -> str:
        for character in "%\r\n" + more:
            text = text.replace(character, f"%{ord(character):02X}")
        return text

    message = "\n".join([finding.message, *finding.notes, *filter(None, [finding.suggestion])])
    place = f"file={escaped(finding.span.file, ':,')},line={finding.span.start.line},col={finding.span.start.column}"
    end = f"endLine={finding.span.end.line},endColumn={finding.span.end.column}"
    return f"::{level} {place},{end},title={escaped(finding.code, ':,')}::{escaped(message)}"
