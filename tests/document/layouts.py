"""Random ways to put the same data into YAML: indentation, brackets, quotes, blocks, comments, anchors.

`Layout(random).document(data)` gives a text; the comments in it count from `<0>` to `written`. It
knows nothing of the formatter.
"""

from __future__ import annotations

from random import Random
from typing import Any

PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
WORDS = {"null", "true", "false", "Null", "True", "False", "NULL", "TRUE", "FALSE"}


class Layout:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.written = 0  # comments
        self.behind_block = False  # whether the line before belongs to a block scalar
        self.anchors: list[tuple[str, str]] = []  # name and the data's repr, of what may be repeated

    def document(self, data: dict[str, Any]) -> str:
        text = "".join(self.between(0)) + self.mapping(data, 0)
        text += "".join(self.between(0))
        if self.chance(0.1):
            text = "---\n" + text
        if self.chance(0.2):
            text = text.replace("\n", "\r\n")
        return "\ufeff" + text if self.chance(0.1) else text

    # ------------------------------------------------------------ noise

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def between(self, indent: int) -> list[str]:
        """Lines between two entries: comments, and empty ones. Behind a block scalar they must not become part of
        it."""
        lines = []
        while self.chance(0.15):
            if self.chance(0.4) and not self.behind_block:
                lines.append(self.random.choice(["\n", "   \n", "\n\n\n"]))
            else:
                column = 0 if self.behind_block else self.random.choice([0, indent, indent + 3])
                lines.append(" " * column + self.comment() + "\n")
                self.behind_block = False
        self.behind_block = False
        return lines

    def beside(self) -> str:
        return self.random.choice([" ", "   "]) + self.comment() if self.chance(0.1) else ""

    def comment(self) -> str:
        number = self.written
        self.written += 1
        return f"#{self.random.choice(['', ' ', '!'])}<{number}>{self.random.choice(['', ' x: [', ' ${', ' # é'])}"

    def gap(self) -> str:
        """Between the parts of a list or an object in brackets."""
        if self.chance(0.1):
            return f" {self.comment()}\n   {' ' * 40}"
        return self.random.choice(["", "", " ", f"\n{' ' * 50}"])

    # ------------------------------------------------------------ blocks

    def mapping(self, data: dict[str, Any], indent: int) -> str:
        text = ""
        self.behind_block = False
        for number, (key, value) in enumerate(data.items()):
            lines = self.between(indent) if number else []
            text += "".join(lines) + " " * (indent if number else 0) + self.key(key, block=True) + ":"
            text += self.value(value, indent, key=True)
        return text

    def sequence(self, data: list[Any], indent: int) -> str:
        text = ""
        for number, value in enumerate(data):
            lines = self.between(indent) if number else []
            text += "".join(lines) + " " * (indent if number else 0) + "-" + self.value(value, indent, key=False)
        return text

    def value(self, data: Any, indent: int, *, key: bool) -> str:
        """What stands behind a key's colon or a dash, with the line's end."""
        if isinstance(data, str) and self.chance(0.3) and self.blockable(data):
            return f" {self.properties(data)}{self.block_scalar(data, indent)}"
        if not isinstance(data, dict | list) or not data or self.chance(0.25):
            for name, known in self.anchors:
                if known == repr(data) and self.chance(0.5):
                    return f" *{name}{self.beside()}\n"
            return f" {self.properties(data)}{self.inline(data, flow=False)}{self.beside()}\n"
        properties = self.properties(data) if self.chance(0.3) else ""
        inner = indent + self.random.choice([1, 2, 2, 4])
        if key and isinstance(data, list) and self.chance(0.4):
            inner = indent  # a list may stand right below its key
        write = self.mapping if isinstance(data, dict) else self.sequence
        if not key and not properties and self.chance(0.7):
            return " " * (inner - indent) + write(data, inner + 1)  # on the line of the dash
        head = f" {properties.strip()}".rstrip() + self.beside() + "\n" + "".join(self.between(inner))
        return head + " " * inner + write(data, inner)

    def properties(self, data: Any) -> str:
        if self.chance(0.08):
            name = f"a{len(self.anchors)}"
            self.anchors.append((name, repr(data)))
            return f"&{name} "
        return ""

    # ------------------------------------------------------------ scalars, brackets

    def inline(self, data: Any, *, flow: bool) -> str:
        if isinstance(data, list):
            parts = [self.gap() + self.inline(each, flow=True) + self.gap() for each in data]
            return f"[{','.join(parts)}{',' if data and self.chance(0.2) else ''}{self.gap()}]"
        if isinstance(data, dict):
            parts = [
                f"{self.gap()}{self.key(key, block=False)}: {self.inline(each, flow=True)}{self.gap()}"
                for key, each in data.items()
            ]
            return f"{{{','.join(parts)}{',' if data and self.chance(0.2) else ''}{self.gap()}}}"
        if data is None:
            return self.random.choice(["null", "~", "Null"])
        if not isinstance(data, str):
            return str(data).lower() if isinstance(data, bool) else repr(data)
        return self.text(data, fold=True)

    def key(self, text: str, *, block: bool) -> str:
        return self.text(text, fold=False)

    def text(self, text: str, *, fold: bool) -> str:
        if text and set(text) <= PLAIN and text not in WORDS and self.chance(0.5):
            return text
        if text.isprintable() and self.chance(0.4):
            return "'" + text.replace("'", "''") + "'"
        parts = []
        for number, character in enumerate(text):
            if character in '"\\':
                parts.append("\\" + character)
            elif not character.isprintable() or self.chance(0.03):
                code = ord(character)
                parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
            else:
                parts.append(character)
            if fold and self.chance(0.03) and text[number + 1 : number + 2].strip():
                parts.append(f"\\\n{' ' * 50}")  # a line break that joins
        return '"' + "".join(parts) + '"'

    @staticmethod
    def blockable(text: str) -> bool:
        return bool(text.strip()) and all(each.isprintable() or each == "\n" for each in text)

    def block_scalar(self, text: str, indent: int) -> str:
        """A literal block: the header says what it must, and sometimes more."""
        width = self.random.choice([1, 2, 4])
        body = text.rstrip("\n")
        breaks = len(text) - len(body)
        needed = body.lstrip("\n")[0] == " "
        chomping = "-" if breaks == 0 else "+" if breaks > 1 or self.chance(0.1) else ""
        header = f"|{width if needed or self.chance(0.2) else ''}{chomping}{self.header_comment()}"
        lines = [" " * (indent + width) + line if line else "" for line in body.split("\n")]
        self.behind_block = True
        return "\n".join([header, *lines, *[""] * (breaks - 1)]) + "\n"

    def header_comment(self) -> str:
        return f"  {self.comment()}" if self.chance(0.1) else ""
