"""What errors of Redis and its driver mean for a flow.

| error | class |
|---|---|
| refused, no such host, TLS | connect |
| WRONGPASS, NOAUTH, "invalid password" | auth |
| NOPERM, DENIED | permission |
| LOADING, BUSY, READONLY, MASTERDOWN, NOREPLICAS, MISCONF, "max number of clients" | unavailable |
| CLUSTERDOWN, TRYAGAIN | unavailable |
| MOVED, ASK, CROSSSLOT, "DB index is out of range" | config |
| OOM | limit |
| BUSYKEY, BUSYGROUP | conflict |
| NOGROUP, NOSCRIPT, "no such key" | not_found |
| WRONGTYPE and every other answer | validation |
| no answer in time | timeout |
| the link broke | connection_lost |

Redis answers an error instead of a result, so nothing was done; only a broken link and a time limit leave the
outcome unknown. The codes are the first word of the answer (https://redis.io/docs/latest/develop/reference/protocol-spec/);
the driver takes it off the answers it has an exception class for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowlang.connections.errors import Classified
from flowlang.exceptions import ERROR_CLASSES, ConnectionError, FlowExecutionError

_BY_DRIVER: Mapping[str, str] = {  # the driver's class → the code it took off
    "AuthenticationError": "NOAUTH",
    "AuthenticationWrongNumberOfArgsError": "NOAUTH",
    "AuthorizationError": "NOPERM",
    "NoPermissionError": "NOPERM",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "OutOfMemoryError": "OOM",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "ClusterCrossSlotError": "CROSSSLOT",
    "MasterDownError": "MASTERDOWN",
    "NoScriptError": "NOSCRIPT",
    "ExecAbortError": "EXECABORT",
}
_BY_CODE: Mapping[str, str] = {
    "NOAUTH": "auth",
    "WRONGPASS": "auth",
    "NOPERM": "permission",
    "DENIED": "permission",
    "READONLY": "unavailable",
    "LOADING": "unavailable",
    "BUSY": "unavailable",
    "MASTERDOWN": "unavailable",
    "CLUSTERDOWN": "unavailable",
    "TRYAGAIN": "unavailable",
    "NOREPLICAS": "unavailable",
    "MISCONF": "unavailable",
    "MOVED": "config",
    "ASK": "config",
    "CROSSSLOT": "config",
    "OOM": "limit",
    "BUSYKEY": "conflict",
    "BUSYGROUP": "conflict",
    "NOGROUP": "not_found",
    "NOSCRIPT": "not_found",
}
_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("max number of clients", "unavailable"),
    ("invalid password", "auth"),
    ("without any password configured", "auth"),
    ("no password is set", "auth"),
    ("db index is out of range", "config"),
    ("no such key", "not_found"),
)
_ADVICE: Mapping[str, str] = {
    "READONLY": "this server is a replica: connect to the primary, or retry after the failover",
    "MOVED": "this is a node of a cluster, which holds other keys elsewhere: connect to a proxy or to a single server",
    "ASK": "this is a node of a cluster, which holds other keys elsewhere: connect to a proxy or to a single server",
    "OOM": "the server's `maxmemory` is reached: let keys expire (`ex`), or raise it",
    "BUSY": "a script of another client holds the server up",
    "MISCONF": "the server cannot save to its disk and refuses writes",
    "NOAUTH": "look at the user and password in the connection's `url`, `username` and `password`",
    "WRONGPASS": "look at the user and password in the connection's `url`, `username` and `password`",
    "NOPERM": "the server's ACL does not allow this user the command or the key",
}
_CODE = re.compile(r"([A-Z]{2,}) ")


def code_of(error: BaseException) -> str:
    """The code of an answer, as the server sent it: `WRONGTYPE`; `ERR` when it has none of its own."""
    named = next((_BY_DRIVER[each.__name__] for each in type(error).__mro__ if each.__name__ in _BY_DRIVER), None)
    found = _CODE.match(str(error))
    return named or (found[1] if found else "ERR")


def status_of(error: BaseException) -> str | None:
    """The code, when the error is an answer of the server."""
    if not type(error).__module__.startswith("redis."):
        return None
    from redis.exceptions import ResponseError

    named = any(each.__name__ in _BY_DRIVER for each in type(error).__mro__)
    return code_of(error) if named or isinstance(error, ResponseError) else None


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of the driver's; None for anything else, and where the system's own error says more."""
    if not type(error).__module__.startswith("redis."):
        return None
    name = _class_of(error)
    return Classified(name, ERROR_CLASSES[name].retryable) if name else None


def _class_of(error: BaseException) -> str | None:
    from redis import exceptions

    text = str(error).lower()
    by_text = next((name for part, name in _BY_TEXT if part in text), None)
    if isinstance(error, exceptions.TimeoutError):
        return "timeout"
    code = code_of(error)
    if code in _BY_CODE:
        return _BY_CODE[code]
    if isinstance(error, exceptions.ResponseError):
        return by_text or "validation"
    if isinstance(error, exceptions.InvalidResponse):
        return "connection_lost"
    return by_text


def translated(error: BaseException, what: str) -> FlowExecutionError:
    """The error a task raises for an answer of the server's; `what` names the command it answers."""
    told = FlowExecutionError(f"{what}: {_shown(error)}", error_class=_class_of(error) or "task")
    code = code_of(error)
    if code in _ADVICE:
        told.add_note(_ADVICE[code])
    return told


def of_opening(error: BaseException) -> ConnectionError:
    """What a link that cannot be opened is told as. Its class is that of the driver's error."""
    known = verdict(error)
    return ConnectionError(f"cannot connect: {_shown(error)}", retryable=known.retryable if known else None)


def _shown(error: BaseException) -> str:
    """The server's words, with the code that the driver took off them."""
    code, text = code_of(error), " ".join(str(error).split()) or type(error).__name__
    return text if code == "ERR" or text.startswith(code) else f"{code} {text}"


def lost(what: str, error: BaseException | None = None) -> FlowExecutionError:
    """The link broke after something was sent: whether it was done, nobody knows."""
    reason = f": {' '.join(str(error).split())}" if error is not None and str(error) else ""
    return FlowExecutionError(f"{what}: the link broke before the answer came{reason}", error_class="connection_lost")


def too_late(what: str, seconds: float) -> FlowExecutionError:
    """No answer within the connection's `socket_timeout`."""
    told = FlowExecutionError(f"{what}: no answer within {seconds:g} s", error_class="timeout")
    told.add_note("the connection's `socket_timeout` is the limit of one command")
    return told
