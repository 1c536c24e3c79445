"""A request as a step asks for it, and as the client library takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import httpcore2

from flowlang.connections.http import replies, urls
from flowlang.connections.http.bodies import Body
from flowlang.connections.http.errors import REPEATABLE, RequestFailed, invalid
from flowlang.connections.http.settings import Settings, header_problem
from flowlang.connections.http.urls import Place
from flowlang.records import frozen

Headers: TypeAlias = tuple[tuple[str, str], ...]

_DEFAULTS: Headers = (("Accept", "*/*"), ("Accept-Encoding", replies.ACCEPTED), ("User-Agent", "FlowLang"))
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
_NOT_HERE = frozenset({"CONNECT", "TRACE"})  # a tunnel, and an echo of the credentials


Judge: TypeAlias = Callable[[str, int, Mapping[str, str], Any], "RequestFailed | None"]
"""Given how a request is named in errors, and the status, headers and value of its reply: what that means to the
service, when it is a failure; None leaves it to the status."""


@frozen
class Call:
    """A request. `key`: the step's `idempotency_key`, and the header that has it, empty where it stands in the content;
    `expect`: statuses that are no failure, None for 2xx; `judge`:
    what else tells whether a reply is one. `json`: a reply that states no content type may be JSON."""

    method: str
    place: Place
    headers: Headers = ()
    body: Body | None = None
    expect: frozenset[int] | None = None
    timeout: float | None = None
    key: str | None = None
    key_header: str = "Idempotency-Key"
    judge: Judge | None = None
    json: bool = False

    @property
    def repeatable(self) -> bool:
        return self.method in REPEATABLE or self.key is not None

    def wants(self, status: int) -> bool:
        return 200 <= status < 300 if self.expect is None else status in self.expect


@frozen
class Reply:
    """A reply whose content is not read yet. `url`: where it came from, fit to be shown."""

    status: int
    headers: replies.Headers
    url: str
    stream: Any


@frozen
class Answer:
    """A whole reply: its head, its content as it came, and the value that stands for it."""

    reply: Reply
    content: bytes
    body: Any


def checked_method(method: str) -> str:
    """The method in capitals. Raises RequestFailed (`validation`)."""
    name = method.upper()
    if not (name.isascii() and name.isalpha() and len(name) <= 20) or name in _NOT_HERE:
        raise invalid(f"`method` is {method!r}; it must be GET, POST or another method of HTTP")
    return name


def checked_headers(headers: Mapping[str, Any] | None) -> Headers:
    """The headers that a step gives; null leaves one out. Raises RequestFailed (`validation`)."""
    found = []
    for name, value in (headers or {}).items():
        if value is None:
            continue
        text = urls.as_text(value, f"`headers.{name}`")
        problem = header_problem(str(name), text, "`headers`")
        if problem is not None:
            raise invalid(problem)
        found.append((str(name), text))
    return tuple(found)


def merged(*groups: Headers) -> Headers:
    """The headers of all groups; of a name that stands in several, those of the first."""
    found = groups[0]
    for group in groups[1:]:
        given = {name.lower() for name, _ in found}
        found += tuple(each for each in group if each[0].lower() not in given)
    return found


def request_maker(call: Call, place: Place, headers: Headers, settings: Settings) -> Callable[[], httpcore2.Request]:
    """What makes the request, afresh for each time it is sent: a file is read as it goes out."""
    body = call.body
    ours = [("Host", place.authority)]
    if body is not None or call.method in _WITH_CONTENT:
        ours.append(("Content-Length", str(body.size if body is not None else 0)))
    kind = (("Content-Type", body.content_type),) if body is not None and body.content_type is not None else ()
    pairs = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (*ours, *merged(headers, kind, _DEFAULTS))
    ]
    url = httpcore2.URL(
        scheme=place.scheme.encode(),
        host=place.host.encode(),
        port=None if place.port == urls.PORTS[place.scheme] else place.port,
        target=place.target.encode(),
    )
    method, times = call.method.encode(), settings.times(call.timeout)
    whole = body.whole if body is not None else b""

    def made() -> httpcore2.Request:
        content = body.pieces() if body is not None and whole is None else whole
        return httpcore2.Request(method, url, headers=pairs, content=content, extensions={"timeout": times})

    return made
