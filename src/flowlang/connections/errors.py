"""What class of failure an exception is: decided by where it was raised and by its chain of causes.

The type that a plugin raises says little: plugins wrap what went wrong, and may carry private copies of
FlowLang's own exceptions. So the whole chain is read, the wrappers of retry libraries and exception groups
included, and looked up in the plugin's own `error_table`, then in the table for the standard library below.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from flowlang.exceptions import ERROR_CLASSES, FlowExecutionError, PluginError
from flowlang.exceptions import ConnectionError as HostConnectionError
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.connections.base import ConnectionPlugin

Phase = Literal["connect", "task"]

_LOG = logging.getLogger("flowlang.connections")
_LONGEST_CHAIN = 32
_LONGEST_LINE = 500
_LONGEST_CODE = 100
# Where exceptions that wrap another one without chaining it keep the other.
_WRAPPED = ("reason", "orig", "last_exception", "last_error")


@frozen
class Classified:
    """A failure's class (a key of `ERROR_CLASSES`), and what follows from it.

    `retry_after`: seconds the service asked to wait. `outcome_unknown`: the operation may have taken place.
    `code`: what the service calls the failure, for those who watch.
    """

    error_class: str
    retryable: bool
    retry_after: float | None = None
    outcome_unknown: bool = False
    code: str | None = None


Verdict = str | Classified | None
ErrorTable = Mapping[type[BaseException] | str, "str | Classified"] | Callable[[BaseException], Verdict]
"""Exception class, or its dotted name, → error class; or a function that looks at the error itself."""


_STANDARD: Mapping[type[BaseException] | str, str | Classified] = {
    ConnectionRefusedError: "connect",
    ConnectionResetError: "connection_lost",
    ConnectionAbortedError: "connection_lost",
    BrokenPipeError: "connection_lost",
    EOFError: "connection_lost",
    "ssl.SSLCertVerificationError": Classified("connect", retryable=False),
    "ssl.SSLEOFError": "connection_lost",
    "ssl.SSLZeroReturnError": "connection_lost",
    "ssl.SSLError": "connect",
    "socket.gaierror": "connect",
    "socket.herror": "connect",
    "asyncio.LimitOverrunError": "limit",
    TimeoutError: "timeout",
    "concurrent.futures.CancelledError": "cancelled",
    PermissionError: "permission",
    FileNotFoundError: "not_found",
    FileExistsError: "conflict",
    MemoryError: "limit",
    PluginError: "config",  # what a plugin needs is missing or too old
}
_BY_ERRNO: Mapping[str, str] = {
    "EHOSTUNREACH": "connect",
    "EHOSTDOWN": "connect",
    "ENETUNREACH": "connect",
    "ENETDOWN": "connect",
    "EADDRNOTAVAIL": "connect",
    "ENOTCONN": "connection_lost",
    "ENETRESET": "connection_lost",
    "EROFS": "permission",
    "ENOSPC": "limit",
    "EDQUOT": "limit",
    "EMFILE": "limit",
    "ENFILE": "limit",
}


def classify(error: BaseException, plugin: ConnectionPlugin | None, phase: Phase) -> Classified:
    """The class of `error`, raised while `plugin` was opening (`connect`) or by a task.

    Along each line of causes: what an error of FlowLang's own states, else the plugin's table, else the standard
    one. What nothing knows is `connect` or `task`, by phase. `retryable` and `retry_after` that any error on the
    line states count more than the class. The code is that of the first error on the line for which the plugin has one.
    """
    import asyncio

    if isinstance(error, asyncio.CancelledError):
        return Classified("cancelled", retryable=False)
    lines = list(_lines(error))
    for line in lines:
        verdict = _stated(line) or _by_plugin(line, plugin) or _by_standard(line, phase)
        if verdict is not None:
            return _coded(_complete(verdict, line, phase), line, plugin)
    return _coded(_complete(phase, lines[0], phase), lines[0], plugin)


def cause_lines(error: BaseException) -> tuple[str, ...]:
    """`error` and what caused it, outermost first, in the driver's own words: `type: text`, of bounded length."""
    found: list[str] = []
    seen: set[int] = set()
    for line in _lines(error):
        for each in line:
            if id(each) not in seen and len(found) < _LONGEST_CHAIN:
                seen.add(id(each))
                found.append(describe(each))
    return tuple(found)


def describe(error: BaseException) -> str:
    """`type: text` of one exception, on one line, without its causes. Never raises."""
    from flowlang.diagnostics import visible

    kind = type(error)
    name = kind.__qualname__.rpartition(".")[2]
    if kind.__module__ not in ("builtins", "flowlang.exceptions", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a driver's broken __str__ must not hide the failure it belongs to
        text = "(its text cannot be shown)"
    if len(text) > _LONGEST_LINE:
        text = text[: _LONGEST_LINE - 1] + "…"
    return visible(f"{name}: {text}" if text else name)


# ---------------------------------------------------------------- the chain


def _lines(error: BaseException) -> Iterator[Sequence[BaseException]]:
    """The lines from `error` down to each root cause: one, or one for each leaf of an exception group."""
    from itertools import islice

    yield from islice(_walk(error, (), frozenset()), _LONGEST_CHAIN)


def _walk(
    error: BaseException, above: tuple[BaseException, ...], seen: frozenset[int]
) -> Iterator[Sequence[BaseException]]:
    line = (*above, error)
    known = seen | {id(error)}
    below = [each for each in _below(error) if id(each) not in known]
    if not below or len(line) >= _LONGEST_CHAIN:
        yield line
        return
    if isinstance(error, BaseExceptionGroup):
        for each in below:
            yield from _walk(each, line, known)
    else:
        yield from _walk(below[0], line, known)


def _below(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return list(error.exceptions[:_LONGEST_CHAIN])
    found = [_of_retry_library(error), error.__cause__]
    found.extend(getattr(error, name, None) for name in _WRAPPED)
    if not error.__suppress_context__:
        found.append(error.__context__)
    return [each for each in found if isinstance(each, BaseException)]


def _of_retry_library(error: BaseException) -> BaseException | None:
    """The last attempt's exception inside `tenacity.RetryError` and its like, known by shape."""
    attempt = getattr(error, "last_attempt", None)
    outcome = getattr(attempt, "exception", None)
    if not callable(outcome) or not getattr(attempt, "done", lambda: True)():
        return None
    found = outcome()
    return found if isinstance(found, BaseException) else None


# ---------------------------------------------------------------- the verdicts


def _stated(line: Sequence[BaseException]) -> str | None:
    """The class that an error of FlowLang's own states."""
    for each in line:
        if isinstance(each, FlowExecutionError) and each.error_class in ERROR_CLASSES:
            return each.error_class
    return None


def _by_plugin(line: Sequence[BaseException], plugin: ConnectionPlugin | None) -> Verdict:
    table = plugin.error_table if plugin is not None else None
    if not table:
        return None
    for each in line:
        verdict = _asked(table, each) if callable(table) else look_up(table, each)
        name = verdict.error_class if isinstance(verdict, Classified) else verdict
        if name in ERROR_CLASSES:
            return verdict
        if name is not None:
            _LOG.warning(
                "the error table of plugin %s answers %r, which is no error class", plugin and plugin.name, name
            )
    return None


def _asked(table: Callable[[BaseException], Verdict], error: BaseException) -> Verdict:
    try:
        return table(error)
    except Exception:  # noqa: BLE001 - a defect in a plugin's table must not replace the failure it was asked about
        _LOG.warning("a plugin's error table failed on %s", type(error).__name__, exc_info=True)
        return None


def _coded(known: Classified, line: Sequence[BaseException], plugin: ConnectionPlugin | None) -> Classified:
    """`known` with the service's own code."""
    if plugin is None:
        return known
    try:
        codes = (plugin.error_code(each) for each in line)
        code = next((each for each in codes if isinstance(each, str) and 0 < len(each) <= _LONGEST_CODE), None)
    except Exception:  # noqa: BLE001 - as above
        _LOG.warning("a plugin's error codes failed on %s", type(line[-1]).__name__, exc_info=True)
        return known
    return known if code is None else replace(known, code=code)


def _by_standard(line: Sequence[BaseException], phase: Phase) -> Verdict:
    for each in line:
        if phase == "connect" and isinstance(each, ImportError):
            return "config"
        verdict = look_up(_STANDARD, each) or _by_number(each)
        if verdict is not None:
            return verdict
    # The built-in ConnectionError names no cause of its own, so all else on the line comes first.
    # FlowLang's own type says only where it was raised, and the phase says that already.
    bare = any(isinstance(each, ConnectionError) and not isinstance(each, HostConnectionError) for each in line)
    return ("connect" if phase == "connect" else "connection_lost") if bare else None


def _by_number(error: BaseException) -> str | None:
    import errno

    number = error.errno if isinstance(error, OSError) else None
    return _BY_ERRNO.get(errno.errorcode.get(number, "")) if isinstance(number, int) else None


def look_up(
    table: Mapping[type[BaseException] | str, str | Classified], error: BaseException
) -> str | Classified | None:
    """What `table` says of `error`, the nearest class of its MRO first.

    A name matches the class wherever its package defines it: `asyncpg.UniqueViolationError` is also
    `asyncpg.exceptions.UniqueViolationError`.
    """
    for kind in type(error).__mro__:
        verdict = table.get(kind) or table.get(f"{kind.__module__}.{kind.__qualname__}")
        if verdict is not None:
            return verdict
        for key, each in table.items():
            if isinstance(key, str) and _names(key, kind):
                return each
    return None


def _names(key: str, kind: type) -> bool:
    package, _, name = key.rpartition(".")
    return name == kind.__qualname__ and kind.__module__.startswith(f"{package}.")


def _complete(verdict: str | Classified, line: Sequence[BaseException], phase: Phase) -> Classified:
    """The verdict with what the errors on the line state themselves."""
    if isinstance(verdict, str):
        known = ERROR_CLASSES[verdict]
        unknown = phase == "task" and verdict in ("connection_lost", "timeout")
        verdict = Classified(verdict, known.retryable, None, unknown)
    for each in reversed(line):
        retryable = getattr(each, "retryable", None)
        if isinstance(retryable, bool):
            verdict = replace(verdict, retryable=retryable)
        seconds = _seconds(getattr(each, "retry_after", None))
        if seconds is not None:
            verdict = replace(verdict, retry_after=seconds)
    return verdict


def _seconds(value: object) -> float | None:
    import datetime
    import math

    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
