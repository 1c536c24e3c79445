"""What SQLite's errors mean for a flow.

| result code | error class |
|---|---|
| CONSTRAINT | conflict |
| BUSY, LOCKED, PROTOCOL, SCHEMA | conflict, transient: a retry may help |
| CANTOPEN | connect |
| READONLY, PERM, AUTH | permission |
| FULL, NOMEM, TOOBIG, "too many …" | limit |
| IOERR | unavailable |
| CORRUPT | unavailable, not to be retried |
| NOTADB, FORMAT | config |
| INTERRUPT | cancelled |
| "no such table", "no such column" … | not_found |
| "already exists" | conflict |
| syntax and every other fault of a statement or value | validation |

The codes are SQLite's (https://sqlite.org/rescode.html); extended codes count as their primary one.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.connections.errors import Classified
from flowlang.exceptions import ERROR_CLASSES, ConnectionError, FlowExecutionError

_PERM, _BUSY, _LOCKED, _NOMEM, _READONLY, _INTERRUPT, _IOERR, _CORRUPT = 3, 5, 6, 7, 8, 9, 10, 11
_FULL, _CANTOPEN, _PROTOCOL, _SCHEMA, _TOOBIG, _CONSTRAINT = 13, 14, 15, 17, 18, 19
_AUTH, _FORMAT, _NOTADB = 23, 24, 26

_TRANSIENT = Classified("conflict", retryable=True)
_BY_CODE: Mapping[int, Classified] = {
    _PERM: Classified("permission", retryable=False),
    _BUSY: _TRANSIENT,
    _LOCKED: _TRANSIENT,
    _NOMEM: Classified("limit", retryable=False),
    _READONLY: Classified("permission", retryable=False),
    _INTERRUPT: Classified("cancelled", retryable=False),
    _IOERR: Classified("unavailable", retryable=True),
    _CORRUPT: Classified("unavailable", retryable=False),
    _FULL: Classified("limit", retryable=False),
    _CANTOPEN: Classified("connect", retryable=True),
    _PROTOCOL: _TRANSIENT,
    _SCHEMA: _TRANSIENT,
    _TOOBIG: Classified("limit", retryable=False),
    _CONSTRAINT: Classified("conflict", retryable=False),
    _AUTH: Classified("permission", retryable=False),
    _FORMAT: Classified("config", retryable=False),
    _NOTADB: Classified("config", retryable=False),
}
_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("no such ", "not_found"),
    ("unknown database", "not_found"),
    ("has no column", "not_found"),
    ("already exists", "conflict"),
    ("too many attached databases", "permission"),
    ("not authorized", "permission"),
    ("too many ", "limit"),
    ("too big", "limit"),
)
_ADVICE: Mapping[int, str] = {
    _BUSY: "another connection holds the lock; raise the connection's `timeout`, or retry the step",
    _READONLY: "the database was opened read-only, or its file or folder may not be written",
    _CANTOPEN: "the file, its folder or its -wal file cannot be opened",
    _NOTADB: "the file is no SQLite database, or an encrypted one",
    _CORRUPT: "the file is damaged; `PRAGMA integrity_check` says where, a backup is the remedy",
}


def is_busy(error: BaseException) -> bool:
    """Whether another connection holds the lock, so that the statement may be tried again as it is."""
    return getattr(error, "sqlite_errorcode", None) == _BUSY


def code_of(error: BaseException) -> str | None:
    """The extended result code, as text: `2067`."""
    code = getattr(error, "sqlite_errorcode", None)
    return str(code) if isinstance(code, int) else None


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of the `sqlite3` module; None for anything else."""
    import sqlite3

    if isinstance(error, (sqlite3.Error, sqlite3.Warning)):
        code = getattr(error, "sqlite_errorcode", None)
        known = _BY_CODE.get(code & 0xFF) if isinstance(code, int) else None
        if known is None and isinstance(error, sqlite3.IntegrityError):
            known = _BY_CODE[_CONSTRAINT]
        return known or _by_text(str(error))
    return None


def _by_text(text: str) -> Classified:
    name = next((each for part, each in _BY_TEXT if part in text), "validation")
    return Classified(name, ERROR_CLASSES[name].retryable)


def translated(error: BaseException) -> FlowExecutionError:
    """The error a task raises for one of the driver's; `raise … from error` keeps the driver's own."""
    if isinstance(error, InterruptedError):
        return FlowExecutionError("the connection was closed before the statement began", error_class="cancelled")
    known = verdict(error)
    if known is None:  # the driver's own refusals of a value: OverflowError, UnicodeEncodeError, ValueError
        return FlowExecutionError(_of_value(error), error_class="validation")
    code = getattr(error, "sqlite_errorcode", None)
    text = str(error)
    if "one statement at a time" in text:
        text = "one step runs one statement: use `sqlite_transaction` for several"
    elif "too many attached databases" in text:
        text = "ATTACH is off: set the connection's `allow_attach`, or use a second connection"
    told = FlowExecutionError(text, error_class=known.error_class, retryable=known.retryable)
    advice = _ADVICE.get(code & 0xFF) if isinstance(code, int) else None
    if advice:
        told.add_note(advice)
    return told


def of_opening(error: BaseException) -> ConnectionError:
    """What a database that cannot be opened is told as."""
    told = translated(error)
    return ConnectionError(f"cannot open the database: {told}", retryable=told.retryable)


def _of_value(error: BaseException) -> str:
    if isinstance(error, OverflowError):
        return "an integer does not fit SQLite's 64 bits; store it as text: str(x)"
    if isinstance(error, UnicodeEncodeError):
        return "a text is no valid Unicode: it holds half a character"
    return str(error)
