"""Names that expressions can read: of steps, inputs, loop variables, connections."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from flowlang.document import codes
from flowlang.document.texts import shown
from flowlang.expressions.tokens import RESERVED

ROOTS = frozenset({"inputs", "env", "secrets", "vars", "run", "error", "index"})
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NOT_WORD = re.compile(r"\W+")
_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


class Trouble(NamedTuple):
    """Why a name cannot be used, and the one to use in its place. `same_place` when only `-` became `_`."""

    code: str
    message: str
    instead: str | None
    same_place: bool = False


def trouble_with(name: str, kind: str) -> Trouble | None:
    """What is wrong with `name` as the name of a `kind` (step, input, …), None when nothing is."""
    if _PLAIN.fullmatch(name):
        return None if name not in ROOTS and name not in RESERVED else _taken(name, kind)
    if "-" in name and _PLAIN.fullmatch(name.replace("-", "_")):
        message = f"`-` is minus in expressions: {shown(f'${{{name}.…}}')} would subtract"
        return Trouble(codes.BAD_NAME, message, name.replace("-", "_"), True)
    if name.startswith("_"):
        return Trouble(codes.BAD_NAME, f"{shown(name)} begins with `_`, which no {kind} may", _mended(name, kind))
    if not name.isidentifier() or unicodedata.normalize("NFKC", name) != name:
        message = f"{shown(name)} is not a name: letters, digits and `_` make one, and no digit begins it"
        return Trouble(codes.BAD_NAME, message, _mended(name, kind))
    alphabets = {_alphabet(char) for char in name} - {""}
    if len(alphabets) > 1:
        odd = next(char for char in name if _alphabet(char) not in ("", "LATIN"))
        message = f"{shown(name)} mixes alphabets: `{odd}` is {unicodedata.name(odd).lower()}"
        return Trouble(codes.LOOKALIKE, message, None)
    return None


def _taken(name: str, kind: str) -> Trouble:
    what = "a root of expressions" if name in ROOTS else "a word of the expression language"
    article = "an" if kind[0] in "aeiou" else "a"
    message = f"`{name}` is {what} and cannot name {article} {kind}"
    return Trouble(codes.BAD_NAME, message, f"{name}_{kind.split()[-1]}")


def _mended(name: str, kind: str) -> str | None:
    words = _NOT_WORD.sub("_", unicodedata.normalize("NFKC", name[:80])).strip("_")
    if not words:
        return None
    if words[0].isdigit():
        words = f"{kind.split()[-1]}_{words}"
    return words if words.isidentifier() and words not in RESERVED and words not in ROOTS else None


def _alphabet(char: str) -> str:
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "")
    return next((each for each in _ALPHABETS if name.startswith(each)), "")
