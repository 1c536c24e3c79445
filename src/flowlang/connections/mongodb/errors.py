"""What the errors of MongoDB and its driver mean for a flow.

| error | class |
|---|---|
| no server answers, refused, unknown host | connect |
| a link that broke, or an answer that is none, during an operation | connection_lost: the outcome is unknown |
| no primary, stepping down, shutting down | unavailable; unknown where it may have begun |
| network time-out, `maxTimeMS` passed | timeout: the outcome is unknown |
| no connection of the pool came free | timeout |
| write concern not satisfied | unavailable: written on the primary, perhaps taken back |
| write conflict, lock time-out, transient error of a transaction | conflict, a retry may help |
| duplicate key, an index or collection that exists otherwise | conflict |
| log-in failed / not authorized | auth / permission |
| unknown collection or index | not_found |
| document, result or memory too large | limit |
| cursor gone at the server | unavailable |
| too many requests | rate_limited |
| options of the connection | config |
| everything else that is said of a statement or a value | validation |

The codes are the server's (https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml), the labels
those of the drivers' specification of transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.exceptions import ERROR_CLASSES, FlowExecutionError

_TRANSIENT = Classified("conflict", retryable=True)
_ELSEWHERE = Classified("unavailable", retryable=True)  # it was not begun: another server may take it
_INTERRUPTED = Classified("unavailable", retryable=True, outcome_unknown=True)
_LATE = Classified("timeout", retryable=True, outcome_unknown=True)
_LOST = Classified("connection_lost", retryable=True, outcome_unknown=True)
_BY_CODE: Mapping[int, str | Classified] = {
    6: _INTERRUPTED, 7: _INTERRUPTED, 9001: _INTERRUPTED,  # HostUnreachable, HostNotFound, SocketException
    11: "permission", 13: "permission", 31: "permission",  # UserNotFound, Unauthorized, RoleNotFound
    18: "auth", 8000: "auth", 334: "auth", 391: "auth",
    20: "validation", 24: _TRANSIENT, 112: _TRANSIENT, 225: _TRANSIENT, 239: _TRANSIENT, 246: _TRANSIENT,
    251: _TRANSIENT, 267: _TRANSIENT, 384: _TRANSIENT,
    26: "not_found", 27: "not_found", 43: _ELSEWHERE,
    48: "conflict", 68: "conflict", 85: "conflict", 86: "conflict", 11000: "conflict", 11001: "conflict",
    50: _LATE, 89: _LATE, 262: _LATE,
    64: _INTERRUPTED, 75: _INTERRUPTED,  # the write concern was not satisfied in time
    79: "config", 100: "config",  # the write concern cannot be satisfied by these servers
    91: _INTERRUPTED, 189: _INTERRUPTED, 11600: _INTERRUPTED, 11602: _INTERRUPTED,
    10058: _ELSEWHERE, 10107: _ELSEWHERE, 13435: _ELSEWHERE, 13436: _ELSEWHERE,
    10334: "limit", 17280: "limit", 17420: "limit", 146: "limit", 292: "limit", 14031: "limit", 39: "limit",
    237: "cancelled", 11601: "cancelled",
    462: "rate_limited", 16500: "rate_limited",
}  # fmt: skip
_ADVICE: Mapping[int, str] = {
    20: "transactions need a replica set or a sharded cluster: a single server has none",
    43: "the cursor was idle for too long, or its server was restarted",
    50: "an index may help; see `mongo_create_index`",
}


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of PyMongo or `bson`; None for anything else."""
    if type(error).__module__.partition(".")[0] not in ("pymongo", "bson"):
        return None
    from bson.errors import BSONError, InvalidBSON
    from pymongo import errors

    if isinstance(error, errors.ProtocolError):
        return _LOST
    if isinstance(error, BSONError):
        stored = not isinstance(error, InvalidBSON) or "codec can't decode" in str(error)  # a text that is no UTF-8
        return _plain("validation") if stored else _LOST
    if not isinstance(error, errors.PyMongoError):
        return None
    if isinstance(error, errors.BulkWriteError):
        return _of_bulk(error.details or {})
    if isinstance(error, errors.ConnectionFailure):
        return _of_link(error)
    if error.has_error_label("UnknownTransactionCommitResult"):
        known = of_code(getattr(error, "code", None))
        return known if known.outcome_unknown else _LOST
    if error.has_error_label("TransientTransactionError"):
        return _TRANSIENT
    if error.has_error_label("SystemOverloadedError"):
        return _ELSEWHERE
    if isinstance(error, errors.OperationFailure):
        return of_code(error.code)
    if isinstance(error, (errors.ConfigurationError, errors.InvalidURI)):
        return _plain("config")
    return _plain("limit" if isinstance(error, errors.DocumentTooLarge) else "validation")


def _of_link(error: Any) -> Classified:
    """A link that could not be made, or broke."""
    from pymongo import errors

    if isinstance(error, errors.ServerSelectionTimeoutError):
        refused = "CERTIFICATE_VERIFY_FAILED" in str(error) or "Hostname mismatch" in str(error)
        return Classified("connect", retryable=not refused)
    if isinstance(error, errors.WaitQueueTimeoutError):
        return Classified("timeout", retryable=True)
    if isinstance(error, errors.NotPrimaryError):
        return of_code(_code(error) or 10107)
    if isinstance(error, errors.NetworkTimeout):
        return _LATE
    cause = error.__cause__
    if isinstance(cause, OSError) and (isinstance(cause, ConnectionRefusedError) or type(cause).__name__ == "gaierror"):
        return Classified("connect", retryable=True)
    return _LOST


def _of_bulk(details: Mapping[str, Any]) -> Classified:
    """The first thing that went wrong in a bulk write; a part of it may be done, so it is never repeated blindly."""
    for each in (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())):
        known = of_code(each.get("code"))
        return Classified(known.error_class, known.retryable, outcome_unknown=True) if known.retryable else known
    return _plain("task")


def code_of(error: BaseException) -> str | None:
    """The server's code, as text; of a bulk write that of the first thing that went wrong."""
    if not type(error).__module__.startswith("pymongo."):
        return None
    found = getattr(error, "details", None)
    details: Mapping[str, Any] = found if isinstance(found, dict) else {}
    stated = (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ()), details)
    codes = (*(each.get("code") for each in stated), getattr(error, "code", None))
    return next((str(each) for each in codes if isinstance(each, int)), None)


def _code(error: Any) -> int | None:
    details = error.details
    found = details.get("code") if isinstance(details, dict) else None
    return found if isinstance(found, int) else None


def of_code(code: int | None) -> Classified:
    """The class of an error code of the server."""
    known = _BY_CODE.get(code or 0, "validation")
    return known if isinstance(known, Classified) else _plain(known)


def _plain(name: str) -> Classified:
    return Classified(name, ERROR_CLASSES[name].retryable)


@contextmanager
def told() -> Iterator[None]:
    """Around the driver: its errors as FlowLang's, in the server's own words.

    A cancellation that comes at the very moment of an answer gets lost in the driver (in `asyncio.wait_for`, before
    Python 3.12); here it goes on.
    """
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        yield
        if task is not None and task.cancelling() > asked:
            raise asyncio.CancelledError
    except FlowExecutionError:
        raise
    except (ValueError, TypeError) as error:
        raise FlowExecutionError(_of_value(error), error_class="validation") from error
    except Exception as error:
        known = verdict(error)
        if known is None:
            raise
        raise _translated(error, known) from error


def _translated(error: Exception, known: Classified) -> FlowExecutionError:
    from bson.errors import InvalidBSON
    from pymongo.errors import ProtocolError

    details = getattr(error, "details", None)
    text = details.get("errmsg") if isinstance(details, dict) else None
    if known is _LOST and isinstance(error, (ProtocolError, InvalidBSON)):
        text = f"what answers does not speak MongoDB's protocol: {error}"
    made = FlowExecutionError(str(text or error))
    if known.outcome_unknown is (known.error_class in ("connection_lost", "timeout")):
        made.error_class = known.error_class  # else the table has more to say of the cause than the class does
        made.retryable = known.retryable
    advice = _ADVICE.get(getattr(error, "code", None) or 0)
    if advice:
        made.add_note(advice)
    return made


def _of_value(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "a text is no valid Unicode: it holds half a character"
    return str(error)
