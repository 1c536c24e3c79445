"""What the spans of requests say, in the words of the conventions.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/. The URL comes without what the connection's credentials
add to it, and with the masks of the run; a user and a password are never part of one.
"""

from __future__ import annotations

from typing import Any

from flowlang.events import RequestEnded, RequestSent
from flowlang.telemetry import names

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""Those of RFC 9110 and RFC 5789. Any other is `_OTHER`, so that its name makes no series of its own."""

_SIGNED = frozenset({"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature"})
"""The names in a query whose values let anybody in (https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/)."""
_REDACTED = "REDACTED"


def measured(event: RequestSent) -> dict[str, Any]:
    """What a request's metric tells of it: few words, and of few values."""
    method = event.method if event.method in METHODS else "_OTHER"
    return {names.METHOD: method, names.SERVER: event.server, names.PORT: event.port}


def described(event: RequestSent) -> dict[str, Any]:
    """What its span tells."""
    known = {**measured(event), names.CONNECTION: event.connection, names.URL: redacted(event.url)}
    if known[names.METHOD] != event.method:
        known[names.METHOD_ORIGINAL] = event.method
    if event.resent:
        known[names.RESENT] = event.resent
    return known


def outcome(event: RequestEnded) -> dict[str, Any]:
    """How it ended, for both."""
    known = {names.STATUS: event.status, names.ERROR: event.error}
    return {name: value for name, value in known.items() if value is not None}


def redacted(url: str) -> str:
    """`url` without the signatures that some services take in place of credentials."""
    rest, mark, query = url.partition("?")
    if not mark:
        return url
    return f"{rest}?{'&'.join(map(_pair, query.split('&')))}"


def _pair(text: str) -> str:
    name, equals, _ = text.partition("=")
    return f"{name}={_REDACTED}" if equals and name in _SIGNED else text
