"""Reads a retry policy, and finds settings in it that contradict each other."""

from __future__ import annotations

from typing import Literal, cast

from flowlang.diagnostics import Span, code
from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, listed, wrong_type
from flowlang.document.model import Name, Retry
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.exceptions import ERROR_CLASSES

Backoff = Literal["constant", "linear", "exponential"]
KEYS = (
    "max_attempts",
    "delay",
    "backoff",
    "multiplier",
    "max_delay",
    "jitter",
    "max_elapsed",
    "attempt_timeout",
    "on",
    "unless",
)
_ALIASES = {"attempts": "max_attempts", "times": "max_attempts", "limit": "max_attempts", "factor": "multiplier"}
_BACKOFF = ("constant", "linear", "exponential")
_BACKOFF_ALIASES = {"exp": "exponential", "expo": "exponential", "fixed": "constant", "const": "constant"}
_AGAIN = ("delay", "backoff", "multiplier", "max_delay", "jitter", "max_elapsed", "on", "unless")  # of a second attempt

CONTRADICTION = code(
    "retry-settings",
    """Settings of a retry policy contradict each other, so that one of them has no effect.

    No wait is longer than `max_delay`, which is 60s unless it is given. `multiplier` belongs to `backoff: exponential`.
    A class that stands in `on` and in `unless` is not tried again. `attempt_timeout` limits one attempt, the `timeout`
    of the step all of them with the waits between them. A policy of one attempt tries nothing again.

    ```yaml wrong
    flow: f
    steps:
      - log: Hello
        retry: {max_attempts: 5, delay: 5m, max_delay: 1m}
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
        retry: {max_attempts: 5, delay: 1m, max_delay: 5m}
    ```
    """,
)


def read_retry(context: Context, node: Node, timeout: float | None) -> Retry | None:
    """`retry: 3`, or the whole policy. `timeout`: the seconds that stand beside it for all attempts."""
    if not isinstance(node, Mapping):
        return _attempts(context, node)
    fields = Fields(context, node, "a retry policy", KEYS, also=_ALIASES)
    before, plain = len(context.findings.all), Retry()
    backoff = fields.word("backoff", _BACKOFF, _BACKOFF_ALIASES) or plain.backoff
    classes = tuple(ERROR_CLASSES)
    on, unless = fields.named("on", classes), fields.named("unless", classes)

    def seconds(key: str, default: float) -> float:
        value = fields.duration(key)
        return default if value is None else value

    policy = Retry(
        max_attempts=fields.integer("max_attempts", least=1) or plain.max_attempts,
        delay=seconds("delay", plain.delay),
        backoff=cast("Backoff", backoff),
        multiplier=fields.number("multiplier", least=1) or plain.multiplier,
        max_delay=seconds("max_delay", plain.max_delay),
        jitter=fields.boolean("jitter", plain.jitter),
        max_elapsed=fields.limit("max_elapsed"),
        attempt_timeout=fields.limit("attempt_timeout"),
        on=tuple([each.text for each in on]),
        unless=tuple([each.text for each in unless]),
        span=node.span,
    )
    if len(context.findings.all) == before:  # else the policy is not quite what is written
        _Contradictions(fields, policy, timeout).find(on, unless)
    return policy


def _attempts(context: Context, node: Node) -> Retry | None:
    if not isinstance(node, Scalar) or type(node.value) is not int:
        wrong_type(context, "retry", node, "a number of attempts or an object")
        return None
    if node.value >= 1:
        return Retry(max_attempts=node.value, span=node.span)
    message = f"`retry` is at least 1, the first attempt; this is {node.text}"
    context.findings.add(codes.OUT_OF_RANGE, message, node.span)
    return None


class _Contradictions:
    """Finds what one setting makes of another. Only what is written is reported, never a default."""

    def __init__(self, fields: Fields, policy: Retry, timeout: float | None) -> None:
        self._fields = fields
        self._policy = policy
        self._timeout = timeout

    def find(self, on: tuple[Name, ...], unless: tuple[Name, ...]) -> None:
        self._classes(on, unless)
        policy = self._policy
        if policy.attempt_timeout is not None and self._timeout is not None and policy.attempt_timeout >= self._timeout:
            limit = self._written("attempt_timeout")
            message = f"an attempt never lasts {limit}: the `timeout` beside `retry` ends all of them before, or then"
            help_ = "make `attempt_timeout` shorter than `timeout`, or take it out"
            self._warn(message, self._span("attempt_timeout"), help_)
        if policy.max_attempts == 1:
            self._single()
        else:
            self._waits()

    def _classes(self, on: tuple[Name, ...], unless: tuple[Name, ...]) -> None:
        for names in (on, unless):
            first: dict[str, Name] = {}
            for each in names:
                earlier = first.setdefault(each.text, each)
                if earlier is not each:
                    self._warn(f"`{each.text}` is already listed at {earlier.span.start}", each.span, "remove one")
        asked = {each.text: each for each in reversed(on)}
        for name, each in {each.text: each for each in reversed(unless)}.items():
            if name in asked:
                message = f"`{name}` stands in `on` at {asked[name].span.start} and here: it is not tried again"
                self._warn(message, each.span, f"take `{name}` out of one of them")

    def _single(self) -> None:
        """Of a policy of one attempt."""
        idle = [key for key in _AGAIN if key in self._fields]
        if idle and "max_attempts" in self._fields:
            message = f"`max_attempts: 1` tries nothing again, so {listed(idle)} {_have(idle)} no effect"
            help_ = "`max_attempts` counts the first attempt, too: write 2 to try once more"
            self._warn(message, self._span("max_attempts"), help_)

    def _waits(self) -> None:
        policy, fields = self._policy, self._fields
        if "delay" in fields and policy.delay > policy.max_delay:
            most = self._written("max_delay", f"{policy.max_delay:g}s unless it is given")
            message = f"no wait lasts {self._written('delay')}: none is longer than `max_delay` ({most})"
            self._warn(message, self._span("delay"), "raise `max_delay`, or lower `delay`")
        if "multiplier" in fields and policy.backoff != "exponential":
            message = f"`multiplier` has no effect with `backoff: {policy.backoff}`"
            self._warn(message, self._span("multiplier"), "take it out, or write `backoff: exponential`")
        shortest = min(policy.delay, policy.max_delay) / (2 if policy.jitter else 1)
        if policy.max_elapsed is not None and policy.max_elapsed < shortest:
            limit = f"`max_elapsed` ({self._written('max_elapsed')})"
            message = f"the first wait, at least {shortest:g}s, is longer than {limit}: there is no second attempt"
            self._warn(message, self._span("max_elapsed"), "make `max_elapsed` longer, or `delay` shorter")

    def _written(self, key: str, otherwise: str = "") -> str:
        node = self._fields.node(key)
        return node.text if isinstance(node, Scalar) else otherwise

    def _span(self, key: str) -> Span:
        node = self._fields.node(key)
        return self._fields.span(key) if node is None else node.span

    def _warn(self, message: str, span: Span, help_: str) -> None:
        self._fields.findings.add(CONTRADICTION, message, span, help_, severity="warning")


def _have(words: list[str]) -> str:
    return "has" if len(words) == 1 else "have"
