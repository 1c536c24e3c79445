"""Reads the keys of one object: a closed set, each of a known kind, all mistakes reported together."""

from __future__ import annotations

from collections.abc import Container, Iterable
from collections.abc import Sequence as Ordered
from functools import lru_cache
from typing import Any

from flowlang.diagnostics import Edit, Fix, Position, Span, one_slip, respelt
from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.findings import meant, replacing
from flowlang.document.model import Name, Place
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.document.texts import quote, shown
from flowlang.expressions.durations import FORMS, nearest_duration, parse_duration

_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_SHOWN_KEYS = 5
_SURE = 0.72


def kind_of(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, Mapping):
        return "an object" if node.entries else "an empty object"
    if isinstance(node, Sequence):
        return "a list" if node.items else "an empty list"
    if "${" in node.text and isinstance(node.value, str):
        return "an expression"
    words = {str: "text", bool: "a boolean", int: "an integer", float: "a number"}
    return words.get(type(node.value), "null")


_set_of = lru_cache(maxsize=256)(frozenset[str])  # the keys of a verb or task are asked for at each of its steps


class Fields:
    """The keys of `mapping`, which stands for `place` (`a flow`, `a retry policy`, …).

    Only `known` keys may be there. A mistyped key is reported and then read as the key it was meant to be, so
    that nothing else is reported because of it. `strangers` are unknown keys that are like no known one, `suggested`
    what these were most likely meant to be.
    """

    strangers: Ordered[tuple[Scalar, Node]] = ()
    suggested: Container[str] = ()

    def __init__(
        self,
        context: Context,
        mapping: Mapping,
        place: str,
        known: Iterable[str],
        *,
        also: dict[str, str] | None = None,
        at: Place | None = None,
        elsewhere: str | None = None,
    ) -> None:
        self.context = context
        self.findings = context.findings
        self.place = place
        self.mapping = mapping
        self._at = at
        self.known = tuple(known)
        self.entries: dict[str, tuple[Scalar, Node]] = {entry[0].text: entry for entry in mapping.entries}
        allowed = _set_of(self.known)
        if not allowed.issuperset(self.entries):
            self._unknown([name for name in self.entries if name not in allowed], also or {}, elsewhere)

    def _unknown(self, names: list[str], also: dict[str, str], elsewhere: str | None) -> None:
        strangers: list[tuple[Scalar, Node]] = []
        suggested: set[str] = set()
        for unknown in names:
            key, node = self.entries.pop(unknown)
            meaning = unknown_key(self.context, key, self.place, self.known, self.entries, also, elsewhere)
            if meaning is not None and meaning not in self.entries:
                self.entries[meaning] = (key, node)
            elif meaning is None:
                strangers.append((key, node))
                suggested.update(filter(None, [self.findings.nearest(unknown, self.known)]))
        self.strangers, self.suggested = strangers, suggested

    @property
    def at(self) -> Span:
        """The place that stands for the whole object in a finding."""
        if self._at is not None:
            return self._at if isinstance(self._at, Span) else self._at.span
        return self.mapping.entries[0][0].span if self.mapping.entries else self.mapping.span

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def node(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return entry[1] if entry else None

    def span(self, key: str) -> Span:
        """The place of the key itself."""
        return self.entries[key][0].span

    def key(self, key: str) -> Scalar:
        """The key itself, as it is written."""
        return self.entries[key][0]

    def required(self, key: str) -> Node | None:
        """The value of `key`; None, and a finding, when it is missing."""
        node = self.node(key)
        if node is None and key not in self.suggested:
            help_ = f"add `{key}: …`"
            self.findings.add(codes.MISSING_KEY, f"`{key}` is missing in {self.place}", self.at, help_)
        return node

    # ------------------------------------------------------------ kinds

    def wrong(self, key: str, node: Node, expected: str, suggestion: str | None = None, fix: Fix | None = None) -> None:
        wrong_type(self.context, key, node, expected, suggestion, fix)

    def _constant(self, key: str, node: Node, expected: str) -> Scalar | None:
        """The scalar, when there is one without an expression."""
        if not isinstance(node, Scalar):
            self.wrong(key, node, expected)
            return None
        if not isinstance(node.value, str) or "${" not in node.text:
            return node
        if "${" in node.text.replace("$${", " "):
            message = f"`{key}` is fixed before the run and cannot be computed; it expects {expected}"
            self.findings.add(codes.NOT_CONSTANT, message, node.span)
            return None
        text = node.text.replace("$${", "${")
        return Scalar(text, text, node.style, node.source, node.start, node.stop)

    def text(self, key: str, *, numbers: bool = False) -> Name | None:
        """A text without expressions. `numbers`: one that looks like a number is taken as it is written."""
        node = self.node(key)
        scalar = self._constant(key, node, "text") if node is not None else None
        if scalar is None:
            return None
        if isinstance(scalar.value, str) or (numbers and type(scalar.value) in (int, float)):
            if scalar.text:
                return Name(scalar.text, scalar)
            self.findings.add(codes.WRONG_TYPE, f"`{key}` is empty", scalar.span)
            return None
        if scalar.value is None:
            self.wrong(key, scalar, "text")
        else:
            fix = replacing(scalar.span, quote(scalar.text), safe=True)
            self.wrong(key, scalar, "text", f"quote it: `{quote(scalar.text)}`", fix)
        return None

    def boolean(self, key: str, default: bool) -> bool:
        node = self.node(key)
        scalar = self._constant(key, node, "boolean") if node is not None else None
        if scalar is None:
            return default
        if isinstance(scalar.value, bool):
            return scalar.value
        word = _BOOLEANS.get(scalar.text.lower()) if isinstance(scalar.value, str) else None
        if word is None and isinstance(scalar.value, str):
            word = self.findings.nearest(scalar.text.lower(), ("true", "false"))
        if word is None:
            self.wrong(key, scalar, "boolean")
            return default
        message = f'`{key}` expects boolean; YAML 1.2 reads `{scalar.text}` as the text "{scalar.text}"'
        if scalar.style != "plain":
            message = f"`{key}` expects boolean, this is text"
        sure = scalar.text.lower() in _BOOLEANS or one_slip(scalar.text.lower(), word)
        self.findings.add(
            codes.WRONG_TYPE, message, scalar.span, meant(word), fix=replacing(scalar.span, word, safe=sure)
        )
        return word == "true"

    def number(self, key: str, *, least: float | None = None, integer: bool = False) -> Any:
        """A finite int or float, None when there is none. `least`: the smallest allowed."""
        node = self.node(key)
        expected = "integer" if integer else "number"
        scalar = self._constant(key, node, expected) if node is not None else None
        if scalar is None:
            return None
        value = scalar.value
        if type(value) is int or (type(value) is float and not integer and value - value == 0):
            if least is not None and value < least:
                message = f"`{key}` is at least {least}, this is {scalar.text}"
                self.findings.add(codes.OUT_OF_RANGE, message, scalar.span)
                return None
            return value
        self.wrong(key, scalar, expected)
        return None

    def integer(self, key: str, *, least: int) -> int | None:
        value: int | None = self.number(key, least=least, integer=True)
        return value

    def duration(self, key: str) -> float | None:
        """Seconds."""
        node = self.node(key)
        scalar = self._constant(key, node, "a duration") if node is not None else None
        if scalar is None:
            return None
        seconds = parse_duration(scalar.value)
        if seconds is not None:
            return seconds
        word = nearest_duration(scalar.text) if isinstance(scalar.value, str) else None
        fix = replacing(scalar.span, word, safe=True) if word else None
        message = f"{shown(scalar.text)} is not a duration" if scalar.text else f"`{key}` expects a duration"
        notes = (f"forms {FORMS}",)
        self.findings.add(codes.DURATION, message, scalar.span, word and meant(word), notes=notes, fix=fix)
        return None

    def limit(self, key: str, advice: str = "leave it out for no limit, or write one such as `30s`") -> float | None:
        """Seconds that something may take: more than none."""
        seconds = self.duration(key)
        node = self.node(key)
        if seconds == 0 and node is not None:
            message = f"`{key}` must be longer than 0"
            self.findings.add(codes.OUT_OF_RANGE, message, node.span, advice)
            return None
        return seconds

    def word(self, key: str, words: Ordered[str], aliases: dict[str, str] | None = None) -> str | None:
        """One of `words`."""
        node = self.node(key)
        scalar = self._constant(key, node, f"one of {listed(words)}") if node is not None else None
        return None if scalar is None else self.one_of(key, scalar, words, aliases)

    def one_of(
        self, key: str, scalar: Scalar, words: Ordered[str], aliases: dict[str, str] | None = None
    ) -> str | None:
        if scalar.text in words and isinstance(scalar.value, str):
            return scalar.text
        word = (aliases or {}).get(scalar.text.lower()) or self.findings.nearest(scalar.text, words)
        fix = respelt(scalar.span, word, scalar.text, words)
        message = f"`{key}` has no {shown(scalar.text)}"
        notes = (f"it is one of {_some(scalar.text, words)}",)
        self.findings.add(codes.UNKNOWN_WORD, message, scalar.span, word and meant(word), notes=notes, fix=fix)
        return word

    def words(self, key: str, words: Ordered[str]) -> tuple[str, ...]:
        """A list of some of `words`."""
        return tuple([each.text for each in self.named(key, words)])

    def named(self, key: str, words: Ordered[str]) -> tuple[Name, ...]:
        """A list of some of `words`, each with its place."""
        found = []
        for item in self.items(key, Scalar):
            scalar = self._constant(key, item, f"a list of {listed(words)}")
            word = None if scalar is None else self.one_of(key, scalar, words)
            if scalar is not None and word is not None:
                found.append(Name(word, scalar))
        return tuple(found)

    def names(self, key: str) -> tuple[Name, ...] | None:
        """A list of texts, each once; None when the key is not there."""
        if key not in self.entries:
            return None
        found: dict[str, Name] = {}
        for item in self.items(key, Scalar):
            scalar = self._constant(key, item, "a list of names")
            if scalar is None:
                continue
            if not isinstance(scalar.value, str) or not scalar.text:
                self.wrong(key, scalar, "a list of names")
            elif scalar.text in found:
                earlier = found[scalar.text].span.start
                message = f"{shown(scalar.text)} is already listed at {earlier}"
                self.findings.add(codes.ALREADY_DEFINED, message, scalar.span, "remove one")
            else:
                found[scalar.text] = Name(scalar.text, scalar)
        return tuple(found.values())

    def items(self, key: str, kind: type[Mapping | Scalar] | None = None) -> tuple[Node, ...]:
        """The items of a list. One item without its list is reported, and taken as a list of one if it is a `kind`."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, Sequence):
            return node.items
        if isinstance(node, Mapping):
            self.wrong(key, node, "a list", "begin each item with `- `")
            return (node,) if kind is not Scalar else ()
        if node.value is None or kind_of(node) == "an expression":
            self.wrong(key, node, "a list")
            return ()
        span = node.span
        end = Span(span.end, span.end, span.file)
        start = Span(span.start, Position(span.start.line, span.start.column), span.file)
        fix = (
            Fix("make it a list", (Edit(start, "["), Edit(end, "]")), safe=True)
            if span.start.line == span.end.line
            else None
        )
        self.wrong(key, node, "a list", f"write `[{shown(node.text)[1:-1]}]`", fix)
        return (node,) if kind is not Mapping else ()

    def object(self, key: str, expected: str = "an object") -> Mapping | None:
        node = self.node(key)
        if node is None or isinstance(node, Mapping):
            return node
        self.wrong(key, node, expected)
        return None


def wrong_type(
    context: Context, key: str, node: Node, expected: str, suggestion: str | None = None, fix: Fix | None = None
) -> None:
    message = f"`{key}` expects {expected}, this is {kind_of(node)}"
    span = node.span
    if not isinstance(node, Scalar):  # a whole block underlined says less than its beginning
        span = Span(span.start, Position(span.start.line, span.start.column + 1), span.file)
    context.findings.add(codes.WRONG_TYPE, message, span, suggestion, fix=fix)


def unknown_key(
    context: Context,
    key: Scalar,
    place: str,
    known: Ordered[str],
    present: Container[str],
    also: dict[str, str],
    elsewhere: str | None = None,
) -> str | None:
    """Reports a key that `place` does not know; the key that it was meant to be, if one is near.

    `elsewhere`: what else may have been meant when none is."""
    if context.findings.full:
        return None
    free = [each for each in known if each not in present]
    meaning = also.get(key.text) or context.findings.nearest(key.text, free)
    if elsewhere is not None and meaning is not None and not alike(key.text, meaning, also):
        meaning = None
    fix = respelt(key.span, meaning, key.text, known) if meaning and meaning in free else None
    context.findings.add(
        codes.UNKNOWN_KEY,
        f"unknown key {shown(key.text)} in {place}",
        key.span,
        meant(meaning) if meaning else elsewhere,
        notes=(f"allowed keys: {_some(key.text, known)}",),
        fix=fix,
    )
    return meaning if meaning in free and alike(key.text, meaning, also) else None


def alike(written: str, meaning: str, also: dict[str, str]) -> bool:
    """Whether `written` is so near to `meaning` that it may be read as it without asking."""
    if also.get(written) == meaning or one_slip(written, meaning):
        return True
    from difflib import SequenceMatcher

    return SequenceMatcher(None, written.casefold(), meaning).ratio() >= _SURE


def _some(name: str, known: Ordered[str]) -> str:
    near = nearest_keys(name, known)
    more = f" ({len(known)} in all)" if len(known) > len(near) else ""
    return listed(near) + more


def nearest_keys(name: str, known: Ordered[str]) -> list[str]:
    """The few keys that are most like `name`, in their own order when nothing is."""
    if len(known) <= _SHOWN_KEYS:
        return list(known)
    from difflib import get_close_matches

    name = name[:40]
    like = get_close_matches(name, known, n=_SHOWN_KEYS, cutoff=0.3)
    return [*like, *(each for each in known if each not in like)][:_SHOWN_KEYS]


def listed(words: Ordered[str]) -> str:
    return ", ".join(f"`{each}`" for each in words)
