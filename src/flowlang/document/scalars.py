"""What an unquoted or tagged scalar means: the core schema of YAML 1.2 (§10.3.2), with one departure.

Numbers that begin with a zero (`007`, `0123.4`) are text: they are mostly codes, and their zeros would be lost.
"""

from __future__ import annotations

import re

_WORDS: dict[str, object] = {"": None, "~": None}
for _word, _value in (("null", None), ("true", True), ("false", False)):
    _WORDS |= dict.fromkeys((_word, _word.capitalize(), _word.upper()), _value)
for _word in (".inf", ".Inf", ".INF"):
    _WORDS |= {_word: float("inf"), f"+{_word}": float("inf"), f"-{_word}": float("-inf")}
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))

MAYBE = frozenset("-+.0123456789~nNtTfF")  # what a scalar that is not text begins with

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMERIC = frozenset("-+.0123456789")
_MAX_DIGITS = 1000  # far below the size at which Python refuses to convert


class OutOfRange(ValueError):
    """The text is a number, and too large a one to be kept as it is written."""


def plain_value(text: str) -> object:
    """The value of an unquoted scalar: None, bool, int, float or the text itself. Raises `OutOfRange`."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise OutOfRange(text)
        return int(text)
    if _BASED.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise OutOfRange(text)
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise OutOfRange(text)
        return number
    return text


_TAGGED: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}
CORE = "tag:yaml.org,2002:"


def tagged_value(text: str, tag: str) -> object:
    """The value of `text` under an explicit core tag. Raises `KeyError` for any other tag and `ValueError`
    when the text is not of that type."""
    if tag in ("!", f"{CORE}str"):
        return text
    wanted = _TAGGED[tag.removeprefix(CORE)] if tag.startswith(CORE) else None
    if wanted is None:
        raise KeyError(tag)
    value = plain_value(text)
    if type(value) not in wanted:
        raise ValueError(text)
    return float(value) if tag == f"{CORE}float" and isinstance(value, int) else value
