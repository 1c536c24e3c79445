"""Everything that can go wrong, grouped by who acts next.

    FlowLangError
    ├── InvalidFlowError      the author of the flow: findings with positions; nothing was run
    ├── PluginError           the author of a plugin: cannot load, breaks the contract, or clashes
    ├── FlowExecutionError    whoever runs the flow: an operation failed (raised by tasks)
    │   └── StepError         the same once the engine knows where: it carries a `Failure`
    └── ConnectionError       whoever runs the service: a connection could not be opened or used

Each failure has an *error class* (`ERROR_CLASSES`): the word that `retry.on`, `catch.on`, exit codes and
reports use. Plugins raise `FlowExecutionError` or `ConnectionError` (or anything else, and let the engine
classify it by the cause chain).
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from flowlang.records import frozen


@frozen
class ErrorClass:
    """One class of failure: its name in flows, a title for people, and whether a retry may help."""

    name: str
    title: str
    retryable: bool
    meaning: str


def _classes(*classes: ErrorClass) -> Mapping[str, ErrorClass]:
    return MappingProxyType({each.name: each for each in classes})


ERROR_CLASSES: Mapping[str, ErrorClass] = _classes(
    ErrorClass("config", "Invalid configuration", False, "a connection's config, or what it needs to open, is wrong"),
    ErrorClass("validation", "Invalid input", False, "a value does not fit what was declared for it"),
    ErrorClass("expression", "Expression failed", False, "an expression could not be computed"),
    ErrorClass("connect", "Could not connect", True, "the service was not reached, or refused the connection"),
    ErrorClass("connection_lost", "Connection lost", True, "the link broke while in use; the outcome is unknown"),
    ErrorClass("timeout", "Timed out", True, "a time limit passed; if something was sent, the outcome is unknown"),
    ErrorClass("auth", "Not authenticated", False, "the service does not accept the credentials"),
    ErrorClass("permission", "Not permitted", False, "the credentials do not allow this operation"),
    ErrorClass("not_found", "Not found", False, "what the operation names does not exist"),
    ErrorClass("conflict", "Conflict", False, "the state of the service does not allow the operation"),
    ErrorClass("rate_limited", "Rate limited", True, "the service asks to slow down"),
    ErrorClass("unavailable", "Unavailable", True, "the service answers that it cannot serve now"),
    ErrorClass("task", "Task failed", True, "a task raised an error that nothing else classifies"),
    ErrorClass("limit", "Limit exceeded", False, "a bound of FlowLang or of the service was reached"),
    ErrorClass("cancelled", "Cancelled", False, "the run or its surroundings were cancelled"),
    ErrorClass("internal", "Internal error", False, "a defect of FlowLang itself: please report it"),
)


class FlowLangError(Exception):
    """The root of all errors that FlowLang raises on purpose."""


class InvalidFlowError(FlowLangError):
    """A flow, its inputs or its config were refused before anything ran.

    `findings` is a sequence of `flowlang.diagnostics.Diagnostic`.
    """

    def __init__(self, message: str, findings: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class PluginError(FlowLangError):
    """A plugin cannot be loaded, breaks the contract, or claims a name that is taken."""


class FlowExecutionError(FlowLangError):
    """An operation failed.

    `error_class`: a key of `ERROR_CLASSES`, or None to let the engine decide by the cause chain.
    `retryable`: True or False overrides what the class says; None leaves it to the class.
    `retry_after`: seconds the service asked to wait before the next attempt.
    """

    def __init__(
        self,
        message: str = "",
        *,
        error_class: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        if error_class is not None and error_class not in ERROR_CLASSES:
            known = ", ".join(ERROR_CLASSES)
            raise ValueError(f"unknown error class {error_class!r}; known: {known}")
        self.error_class = error_class
        self.retryable = retryable
        self.retry_after = retry_after


class ConnectionError(FlowLangError, builtins.ConnectionError):  # noqa: A001 - the guide fixes the name
    """A connection could not be opened or used. It is also the built-in `ConnectionError`."""

    def __init__(self, message: str = "", *, retryable: bool | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


@frozen
class Failure:
    """What is known of one failure, in the shape of RFC 9457 (problem details).

    `type` is an error class, `detail` the cause in its own words, `cause` the chain below it (outermost
    first). `file`, `line`, `column` (from 1) say where in the flow; `connection` names the connection used. `code` is
    what its service calls the failure: an SQLSTATE, the number of an error.
    """

    type: str
    detail: str
    flow: str | None = None
    step: str | None = None
    attempt: int = 1
    connection: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    retryable: bool = False
    retry_after: float | None = None
    outcome_unknown: bool = False
    cause: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    code: str | None = None

    @property
    def title(self) -> str:
        return ERROR_CLASSES[self.type].title if self.type in ERROR_CLASSES else self.type

    def as_value(self) -> dict[str, Any]:
        """The failure as flows (`error` in a handler) and machine-readable results see it."""
        position = None
        if self.line is not None:
            position = {"file": self.file, "line": self.line, "column": self.column}
        return {
            "type": self.type,
            "title": self.title,
            "detail": self.detail,
            "flow": self.flow,
            "step": self.step,
            "attempt": self.attempt,
            "connection": self.connection,
            "position": position,
            "retryable": self.retryable,
            "outcome_unknown": self.outcome_unknown,
            "cause": list(self.cause),
            "notes": list(self.notes),
        }


class StoreError(FlowLangError):
    """The store of runs cannot be used: it cannot be opened, is of another format, or does not hold what was asked
    for."""


class StoreUnavailable(StoreError):
    """The store does not answer now, and may later: whoever waits for it may try again."""


class NoStore(StoreError):
    """There is no store at the address."""


class StepError(FlowExecutionError):
    """A step failed. `failure` says which step, where, and why; `__cause__` is the original error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail, retryable=failure.retryable, retry_after=failure.retry_after)
        self.error_class = failure.type
        self.failure = failure
