"""Reading a docstring in Google style: its sections, and no more of it than a task's specification shows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import field

from flowlang.records import frozen

_HEADING = re.compile(r"([A-Z][A-Za-z ]*):[ \t]*(.*)")
_ITEM = re.compile(r"[`'\"]?\*{0,2}(\w+)[`'\"]?(?:\s*\([^)]*\))?\s*:\s*(.*)", re.DOTALL)
_KNOWN = {
    "args": "args",
    "arguments": "args",
    "parameters": "args",
    "params": "args",
    "returns": "returns",
    "return": "returns",
    "yields": "returns",
    "raises": "raises",
    "example": "example",
    "examples": "example",
    "example yaml": "example",
    "yaml example": "example",
    "note": "other",
    "notes": "other",
    "warning": "other",
    "see also": "other",
    "attributes": "other",
    "todo": "other",
}


@frozen
class Docstring:
    """`arguments` and `returns` map names to their descriptions; `example` is dedented text, None without one."""

    summary: str = ""
    description: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    returns: Mapping[str, str] = field(default_factory=dict)
    raises: Mapping[str, str] = field(default_factory=dict)
    example: str | None = None


def read(text: str | None) -> Docstring:
    """The parts of `text`, a docstring as `inspect.getdoc` cleans it. Whatever is not understood is description."""
    if not text or not text.strip():
        return Docstring()
    sections = _sections(text.strip("\n").splitlines())
    summary, _, rest = "\n".join(sections.get("text", ())).strip().partition("\n\n")
    example = textwrap.dedent("\n".join(sections.get("example", ()))).strip("\n")
    return Docstring(
        summary=" ".join(summary.split()),
        description=rest.strip(),
        arguments=_items(sections.get("args", ())),
        returns=_items(sections.get("returns", ())),
        raises=_items(sections.get("raises", ())),
        example=_unfenced(example) or None,
    )


def _sections(lines: list[str]) -> dict[str, list[str]]:
    """The lines under each heading; the first of a name counts. A heading stands at the margin, alone on its line."""
    found: dict[str, list[str]] = {"text": []}
    current = found["text"]
    for index, line in enumerate(lines):
        heading = _HEADING.fullmatch(line)
        name = _KNOWN.get(heading[1].strip().lower()) if heading is not None else None
        if name is None or heading is None or (heading[2] and not _starts_block(lines, index)):
            current.append(line)
            continue
        current = found.setdefault(name, []) if name not in found else []
        if heading[2]:
            current.append(heading[2])
    return found


def _starts_block(lines: list[str], index: int) -> bool:
    following = lines[index + 1] if index + 1 < len(lines) else ""
    return following.startswith((" ", "\t"))


def _items(lines: list[str] | tuple[()]) -> dict[str, str]:
    """`name: description` entries at the section's own indentation; deeper lines continue the one before."""
    found: dict[str, str] = {}
    body = textwrap.dedent("\n".join(lines)).splitlines()
    name: str | None = None
    for line in body:
        if line[:1] not in ("", " ", "\t"):
            item = _ITEM.fullmatch(line)
            name = item[1] if item is not None else None
            if item is not None:
                found[item[1]] = item[2].strip()
        elif name is not None and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _unfenced(text: str) -> str:
    """The text without a surrounding code fence, which some authors put around YAML."""
    lines = text.splitlines()
    if len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text
