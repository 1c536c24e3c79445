"""From bytes to a text that may be parsed: encoding, size, and characters that deceive."""

from __future__ import annotations

import re
import unicodedata

from flowlang.diagnostics import Diagnostic, Position, Span
from flowlang.document import yaml_codes as codes
from flowlang.records import frozen


@frozen
class Limits:
    """How much one file may hold: its size in bytes, how deep its collections are nested, and its nodes, aliases
    counted as written out. Programs that write flows of any size, as the benchmarks do, may ask for others."""

    size: int = 1024 * 1024
    depth: int = 64
    nodes: int = 100_000


LIMITS = Limits()

_BOM = "\ufeff"
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# All that YAML does not allow, what it counts as a line break and editors do not, and what is not visible but
# changes how the rest is read (CVE-2021-42574).
_BAD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
    "|\r(?!\n)"
)
_HARMLESS = b"\t\n" + bytes(range(0x20, 0x7F))  # what most files have in them and nothing else: a quick look tells
_MAX_SHOWN = 20


def read_source(text: str | bytes, file: str, limits: Limits = LIMITS) -> tuple[str | None, list[Diagnostic]]:
    """The text of a file without its byte order mark, or None and the reasons why it cannot be read."""
    if len(text) > limits.size:
        return None, [_too_large(file, limits)]
    if isinstance(text, bytes):
        decoded = _decode(text, file)
        if isinstance(decoded, Diagnostic):
            return None, [decoded]
        text = decoded
    elif not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > limits.size:
        return None, [_too_large(file, limits)]
    text = text.removeprefix(_BOM)
    found = _hidden(text, file)
    return (None, found) if found else (text, [])


def _decode(data: bytes, file: str) -> str | Diagnostic:
    if data.startswith(_WIDE) or (len(data) > 1 and 0 in data[:2] and data[:2] != b"\0\0"):
        message = "the file is not UTF-8; it looks like UTF-16 or UTF-32"
        return Diagnostic(codes.ENCODING, message, _at("", 0, file), suggestion="save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix(_BOM)
        message = f"the byte 0x{data[error.start]:02X} is not valid UTF-8 here"
        return Diagnostic(codes.ENCODING, message, _at(before, len(before), file), suggestion="save the file as UTF-8")


def _hidden(text: str, file: str) -> list[Diagnostic]:
    if text.isascii() and not text.encode().translate(None, _HARMLESS):
        return []
    found = []
    for match in _BAD.finditer(text):
        span = _at(text, match.start(), file)
        found.append(Diagnostic(codes.HIDDEN, _describe(match[0]), span, suggestion=_instead(match[0])))
        if len(found) == _MAX_SHOWN:
            break
    return found


def _describe(character: str) -> str:
    name = f"U+{ord(character):04X}"
    if character == "\r":
        return "a carriage return without a line feed: tools do not agree whether a new line begins here"
    if character in "\u2028\u2029\x85":
        return f"the invisible character {name} begins a new line for YAML, but not in an editor"
    if character == _BOM:
        return f"the invisible character {name} (byte order mark) may stand only at the start of a file"
    if "\u202a" <= character <= "\u2069":
        return (
            f"the invisible character {name} ({unicodedata.name(character).lower()}) makes text look other than it is"
        )
    return f"the character {name} cannot stand in a flow file"


def _instead(character: str) -> str:
    if character in "\r\ufeff":
        return "save the file with line feeds and without marks" if character == "\r" else "remove it"
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return "remove it"
    escape = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return f"remove it, or write `{escape}` inside double quotes"


def _too_large(file: str, limits: Limits) -> Diagnostic:
    return Diagnostic(
        codes.LIMIT,
        f"the file is larger than {limits.size / (1024 * 1024):g} MiB",
        _at("", 0, file),
        suggestion="split it into subflows; data belongs in a file that a task reads",
    )


def _at(text: str, index: int, file: str) -> Span:
    line = text.count("\n", 0, index) + 1
    column = index - (text.rfind("\n", 0, index) + 1) + 1
    return Span(Position(line, column), Position(line, column + 1), file)
