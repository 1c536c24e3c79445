"""What every step may carry beside what it does: `id`, `if`, `timeout`, `retry`, `on_error` and their kin."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Keyed
from typing import Self

from flowlang.diagnostics import Span
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.guards import read_guard
from flowlang.document.model import Cache, Modifiers, Name, Value
from flowlang.document.nodes import Node, Scalar
from flowlang.document.retry import read_retry

COMMON = ("id", "description", "if", "timeout", "retry", "on_error", "continue_on_error")
SERVICE = ("connection", "outputs", "cache", "idempotency_key", "exactly_once")
_OF_STEPS = frozenset((*COMMON, *SERVICE))
_BUT_IF = _OF_STEPS - {"if"}
ALIASES = {
    "when": "if",
    "name": "id",
    "register": "id",
    "on_failure": "on_error",
    "rescue": "on_error",
    "catch": "on_error",
    "retries": "retry",
    "ignore_errors": "continue_on_error",
    "args": "inputs",
    "with": "inputs",
    "params": "inputs",
}
_PLAIN = frozenset({"id", "connection", "outputs"})  # no work for `modifiers`
_RARE = _OF_STEPS.difference(_PLAIN)
_CACHE_ALIASES = {"for": "ttl", "expires": "ttl", "duration": "ttl", "max_age": "ttl"}


class KeySpans(Keyed[str, Span]):
    """Where each key of `entries` stands that is one of `keys`."""

    __slots__ = ("_entries", "_keys")

    def __init__(self, entries: dict[str, tuple[Scalar, Node]], keys: frozenset[str]) -> None:
        self._entries = entries
        self._keys = keys

    def __getitem__(self, key: str) -> Span:
        if key not in self._keys:
            raise KeyError(key)
        return self._entries[key][0].span

    def __iter__(self) -> Iterator[str]:
        return (each for each in self._entries if each in self._keys)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class StepFields(Fields):
    """The keys of a step. Its id is read first, so that the steps inside it come after it."""

    def begin(self) -> Self:
        self.name = self._id()
        if self.name is not None:
            self.context.define(self.name)
        return self

    def _id(self) -> Name | None:
        node = self.node("id")
        if node is None:
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or "${" in node.text or not node.text:
            wrong_type(self.context, "id", node, "a name")
            return None
        return self.context.name(node, "step")

    def modifiers(self, *, guard: bool = True) -> Modifiers:
        """The modifiers of the step. `guard`: whether `if` is one (it is not where it is the verb)."""
        from flowlang.document.steps import read_steps

        context, entries = self.context, self.entries
        if _RARE.isdisjoint(entries):  # most steps have an `id` at most
            return Modifiers(self.name, spans=KeySpans(entries, _PLAIN))
        condition = self.node("if") if guard else None
        description = self.text("description") if "description" in entries else None
        retry, timeout = self.node("retry"), None
        if "timeout" in entries:
            timeout = self.limit("timeout", "leave it out for no limit of its own, or write one such as `30s`")
        return Modifiers(
            id=self.name,
            description=description.text if description else None,
            guard=read_guard(context, "if", condition) if condition is not None else None,
            timeout=timeout,
            retry=read_retry(context, retry, timeout) if retry is not None else None,
            on_error=read_steps(self, "on_error") if "on_error" in self else None,
            continue_on_error="continue_on_error" in entries and self.boolean("continue_on_error", False),
            cache=self._cache() if "cache" in entries else None,
            idempotency_key=self._key() if "idempotency_key" in entries else None,
            exactly_once="exactly_once" in entries and self.boolean("exactly_once", False),
            spans=KeySpans(entries, _OF_STEPS if guard else _BUT_IF),
        )

    def _cache(self) -> Cache | None:
        node = self.object("cache", "an object with `key` and `ttl`")
        if node is None:
            return None
        fields = Fields(self.context, node, "a `cache`", ("key", "ttl"), also=_CACHE_ALIASES, at=self.span("cache"))
        key, _ = fields.required("key"), fields.required("ttl")
        seconds = fields.limit("ttl", "write how long an answer may be used, such as `10m`")
        if key is None or seconds is None:
            return None
        return Cache(self.context.value(key), seconds, node.span)

    def _key(self) -> Value | None:
        node = self.node("idempotency_key")
        return self.context.value(node) if node is not None else None
