"""How one scalar is written: plain where nothing forbids it, else in the quotes that need the fewest escapes."""

from __future__ import annotations

import re

from flowlang.document.scalars import OutOfRange, plain_value

# What YAML 1.1 takes for something else than text. We read YAML 1.2, but other tools and people may not.
_ELSEWHERE = re.compile(r"(?i:y|n|yes|no|on|off|true|false|null|nan|inf)|[-+.]?\d[\d_:.+\-eExXoOa-fA-FtTzZ ]*")
_PLAIN = re.compile(r"""[\w/(](?:[^:#"']|:(?! |$)|(?<! )#)*""")
_IN_BRACKETS = re.compile(r"[,\[\]{}]")


def is_plain(text: str, *, brackets: bool) -> bool:
    """Whether `text` may stand without quotes and still is that text for every reader. `brackets`: inside a flow
    collection."""
    if "${" in text or not text.isprintable() or text[-1:] == " " or not _PLAIN.fullmatch(text):
        return False
    if _ELSEWHERE.fullmatch(text) or (brackets and _IN_BRACKETS.search(text)):
        return False
    return is_text(text)


def is_text(text: str) -> bool:
    """Whether a plain scalar with these characters is text, and no number, boolean or null."""
    try:
        return plain_value(text) is text
    except OutOfRange:
        return False


def on_one_line(text: str, style: str, raw: str, *, brackets: bool) -> str:
    """A value that is written on one line, as it should be. `raw` is how it is written; a plain one stays plain
    unless it holds an expression, which in quotes may use every character."""
    if style == "plain":
        return in_quotes(text) if "${" in text and text.isprintable() else raw
    if is_plain(text, brackets=brackets):
        return text
    return in_quotes(text) if text.isprintable() else raw if style == "double" else escaped(text)


def as_key(text: str, style: str, raw: str, *, brackets: bool) -> str:
    """A key: like a value, but never on several lines."""
    if style in ("literal", "folded") or "\n" in raw:
        style, raw = "double", escaped(text)
    return on_one_line(text, style, raw, brackets=brackets)


def in_quotes(text: str) -> str:
    """`text`, which is printable, in double quotes, or in single ones when that takes fewer escapes."""
    if text.count('"') + text.count("\\") > text.count("'"):
        return "'" + text.replace("'", "''") + "'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped(text: str) -> str:
    """`text` in double quotes, with an escape for each character that cannot be seen."""
    return '"' + "".join(each if each.isprintable() and each not in '"\\' else _escape(each) for each in text) + '"'


def _escape(character: str) -> str:
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}.get(character)
    code = ord(character)
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def continued(raw: str, style: str, indent: int) -> list[str]:
    """The lines of a plain or quoted scalar of several lines; all but the first are indented by `indent` spaces."""
    first, *middle, last = raw.split("\n")
    rest = [*(_trimmed(line.lstrip(" \t"), style) for line in middle), last.lstrip(" \t")]
    return [_trimmed(first, style), *(" " * indent + line if line else "" for line in rest)]


def _trimmed(line: str, style: str) -> str:
    """`line` without the spaces at its end; one that a backslash keeps stays."""
    kept = line.rstrip(" \t")
    escape = style == "double" and (len(kept) - len(kept.rstrip("\\"))) % 2 == 1
    return line[: len(kept) + 1] if escape else kept


def block_header(style: str, text: str, comment: str) -> str:
    """The first line of a block scalar whose value is `text`: indicator, indentation where it cannot be seen, and
    what happens to the line breaks at the end."""
    first = text.lstrip("\n")[:1]
    indicator = "2" if first and first in " \t" else ""
    breaks = len(text) - len(text.rstrip("\n"))
    chomping = "" if not text else "+" if breaks > 1 or breaks == len(text) else "" if breaks else "-"
    return f"{'|' if style == 'literal' else '>'}{indicator}{chomping}" + (f" {comment}" if comment else "")
