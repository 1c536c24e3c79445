"""What a failed request means for a flow.

| what happened | error class |
|---|---|
| refused, unreachable, the name is unknown | connect |
| the certificate does not hold | connect, not to be retried |
| no answer in time | timeout; the outcome is open once something was sent |
| the link broke, the reply was cut short or is no HTTP | connection_lost; likewise |
| 400, 422 and other 4xx | validation |
| 401, 407 | auth |
| 403, 451; an address that is not public | permission |
| 404, 410 | not_found |
| 409, 412 | conflict |
| 408, 425, 429 | rate_limited, with `retry_after` where the service states it |
| 413, 414, 431; a reply larger than `max_body` | limit |
| 5xx | unavailable; 501 and 505 not to be retried |
| a redirect that is not followed | config |

Requests that may be done twice (GET, HEAD, OPTIONS, PUT, DELETE; RFC 9110, section 9.2.2) leave no outcome open.
"""

from __future__ import annotations

from asyncio import Timeout
from collections.abc import Mapping

from flowlang.connections.errors import Classified
from flowlang.exceptions import ERROR_CLASSES, FlowExecutionError

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})

_BY_STATUS: Mapping[int, str] = {
    401: "auth",
    403: "permission",
    404: "not_found",
    407: "auth",
    408: "rate_limited",
    409: "conflict",
    410: "not_found",
    412: "conflict",
    413: "limit",
    414: "limit",
    425: "rate_limited",
    429: "rate_limited",
    431: "limit",
    451: "permission",
}
_FINAL = frozenset({501, 505})  # the service will not learn it by the next attempt
_GATEWAYS = frozenset({502, 504})  # somebody in between answers, who does not know what the service did
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})  # X509_V_ERR_…: signed by itself, or by nobody who is known


class RequestFailed(FlowExecutionError):
    """A request did not do what it was for. `verdict` has its class; `outcome_unknown` says that it may have."""

    def __init__(
        self,
        message: str,
        error_class: str,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message, retryable=retryable, retry_after=retry_after)
        known = ERROR_CLASSES[error_class].retryable if retryable is None else retryable
        self.verdict = Classified(error_class, known, retry_after, outcome_unknown)


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of this plugin; None for anything else."""
    return error.verdict if isinstance(error, RequestFailed) else None


def invalid(message: str) -> RequestFailed:
    """What a flow gave cannot be sent, or what the service gave cannot be read."""
    return RequestFailed(message, "validation")


def reason_of(error: BaseException, timer: Timeout | None) -> str:
    """What kept a reply from coming, in a word: a class of failures, or `cancelled`. `timer`: the request's limit."""
    if isinstance(error, RequestFailed):
        return error.verdict.error_class
    if not isinstance(error, Exception):
        return "timeout" if timer is not None and timer.expired() else "cancelled"
    return "unknown"


def class_of(status: int) -> str:
    """The error class of a status that was not wanted."""
    if status >= 500:
        return "unavailable"
    if 300 <= status < 400:
        return "config"
    return _BY_STATUS.get(status, "validation")


def refused(message: str, method: str, status: int, retry_after: float | None, *, keyed: bool) -> RequestFailed:
    """The error for a status that was not wanted. `keyed`: the service does the request once only."""
    name = class_of(status)
    asked = retry_after if name in ("rate_limited", "unavailable") else None
    return RequestFailed(
        message,
        name,
        retryable=False if status in _FINAL else None,
        retry_after=asked,
        outcome_unknown=status in _GATEWAYS and method not in REPEATABLE and not keyed,
    )


def broken(error: BaseException, what: str, *, sent: bool) -> tuple[RequestFailed, BaseException]:
    """The error for one of the client library's, and the cause to chain. `what` names the request; `sent`: the
    service may have seen it, and doing it twice would matter."""
    import ssl

    import httpcore2 as core

    cause = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    if isinstance(error, core.ConnectTimeout):
        return RequestFailed(f"{what}: {_words(cause, 'no connection in time')}", "timeout"), cause
    if isinstance(error, core.TimeoutException):
        text = "no answer in time" if isinstance(error, core.ReadTimeout) else "the request was not taken in time"
        return RequestFailed(f"{what}: {text}", "timeout", outcome_unknown=sent), cause
    if isinstance(error, core.ConnectError):
        return _not_connected(cause, what), cause
    if isinstance(error, core.ProxyError):
        name = "auth" if str(error).startswith("407") else "connect"
        return RequestFailed(f"{what}: the proxy refuses: {error}", name), cause
    if getattr(cause, "error_status_hint", None) == 431:
        return RequestFailed(f"{what}: the headers of the reply are too large", "limit"), cause
    if isinstance(error, (core.LocalProtocolError, core.UnsupportedProtocol)):
        return invalid(f"{what}: this is no request that could be sent"), cause
    if isinstance(error, core.RemoteProtocolError):
        return RequestFailed(f"{what}: {_reply(str(error))}", "connection_lost", outcome_unknown=sent), cause
    if isinstance(cause, ssl.SSLError):
        return RequestFailed(f"{what}: the secured link broke: {cause}", "connection_lost", outcome_unknown=sent), cause
    text = _words(cause, "the link broke")
    return RequestFailed(f"{what}: {text}", "connection_lost", outcome_unknown=sent), cause


def _reply(text: str) -> str:
    if "without sending a response" in text:
        return "the service closed the connection without an answer"
    if "complete message body" in text or "incomplete" in text:
        return "the reply was cut short"
    return f"the reply is no valid HTTP: {text}"


def _not_connected(cause: BaseException, what: str) -> RequestFailed:
    import socket
    import ssl

    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"{what}: the certificate does not hold: {cause.verify_message or cause}"
        if cause.verify_code in _UNKNOWN_ISSUER:
            text += "; name the authority that signed it: `verify: path/to/ca.pem`"
        return RequestFailed(text, "connect", retryable=False)
    if isinstance(cause, ssl.SSLError):
        return RequestFailed(f"{what}: no secured connection: {cause.reason or cause}", "connect")
    if isinstance(cause, socket.gaierror):
        return RequestFailed(f"{what}: its name cannot be looked up: {cause.strerror or cause}", "connect")
    return RequestFailed(f"{what}: {_words(cause, 'no connection')}", "connect")


def _words(cause: BaseException, otherwise: str) -> str:
    text = (cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)).strip()
    return text or otherwise
