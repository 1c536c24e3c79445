"""What a value breaks of the rules that an input declares, in the words of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowlang.expressions.types import type_of

if TYPE_CHECKING:
    import jsonschema_rs

_LONGEST = 60  # characters of a value
_MOST = 8  # words of an `enum`


def unfit(error: jsonschema_rs.ValidationError) -> str:
    """What was expected and what came, to go on after the name of the input: `expects at most 9, got 12`."""
    wanted = _wanted(error.kind)
    if wanted is None:
        return f"is not as declared: {error.message}"
    value = error.instance
    if error.kind.name == "type":
        return f"expects {wanted}, got {type_of(value).kind} {brief(value)}"
    got = f"{len(value):,}" if isinstance(value, (list, tuple)) and error.kind.name in _COUNTS else brief(value)
    return f"lacks {wanted}" if error.kind.name == "required" else f"expects {wanted}, got {got}"


def place_in(name: str, path: list[str | int]) -> str:
    """Where in the input `name` something is: `rows[0].id`."""
    return name + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def brief(value: object) -> str:
    """The value in backticks, cut when it is long."""
    text = repr(value)
    return f"`{text}`" if len(text) <= _LONGEST else f"`{text[: _LONGEST - 3]}…`"


_COUNTS = {"minItems", "maxItems"}
_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


def _wanted(kind: Any) -> str | None:
    """What the broken rule asks for; None for a rule that no input can declare."""
    name = kind.name
    if name in _LIMITS:
        text = _LIMITS[name].format(kind.limit)
        return text.removesuffix("s") if kind.limit == 1 and text.endswith("s") else text
    if name == "type":
        return " or ".join(each for each in sorted(kind.types) if each != "null")
    if name == "enum":
        words = ", ".join(map(brief, kind.options[:_MOST]))
        more = f" ({len(kind.options)} in all)" if len(kind.options) > _MOST else ""
        return f"one of {words}{more}"
    if name == "pattern":
        return f"text that matches `{kind.pattern}`"
    return f"the key `{kind.property}`" if name == "required" else None
