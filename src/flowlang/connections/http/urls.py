"""Where a request goes: below `base_url`, and nowhere else.

A step's `path` is appended to the base, never resolved against it as a browser would: no path can name another
host. What could leave the base on the way (`..` in any of its spellings, a whole URL, a backslash) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from flowlang.connections.http.errors import invalid
from flowlang.records import frozen
from flowlang.tasks.jsontext import plain

PORTS = {"http": 80, "https": 443}
MASK = "***"

_SAFE = "/%:@!$&'()*+,;=~-._"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9.])?")


@frozen
class Place:
    """An origin and what is asked of it. `host` is ASCII, IPv6 without brackets; `path` begins with `/` and is
    encoded; `query` is encoded, without `?`."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The host, and the port unless it is the scheme's own: what the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parsed(text: str, what: str) -> Place:
    """A whole URL, strictly read. `what` names it in errors. Raises RequestFailed (`validation`)."""
    if _CONTROL.search(text) or " " in text or "\\" in text:
        raise invalid(f"{what} holds a character that no URL may hold")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise invalid(f"{what} is no URL: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise invalid(f"{what} must begin with https:// or http://")
    if "@" in parts.netloc:
        raise invalid(f"{what} holds a user or password: that belongs to the connection's `auth`")
    host = _host(parts.hostname or "", what)
    return Place(scheme, host, port or PORTS[scheme], _encoded(parts.path) or "/", _encoded(parts.query, "/?"))


def _host(host: str, what: str) -> str:
    if ":" in host:  # urlsplit takes brackets only around what may be an IPv6 address
        return host.lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as error:
            raise invalid(f"{what} names no valid host: {error}") from error
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise invalid(f"{what} names no valid host")
    return host.lower()


def below(base: Place, path: str, query: Mapping[str, Any] | None) -> Place:
    """`path` and `query` below `base`. Raises RequestFailed (`validation`, `permission`) for what leaves it."""
    if _SCHEME.match(path) or path.startswith(("//", "\\")):
        raise invalid(f"`path` is {path!r}: it stands below the connection's `base_url`, and is no URL of its own")
    if "\0" in path:
        raise invalid(f"`path` is {path.replace(chr(0), '…')!r}, where `…` is a value that is empty or null")
    if "\\" in path or "#" in path or _CONTROL.search(path):
        raise invalid(f"`path` is {path!r}: a backslash, `#` or control character cannot stand there; encode it")
    bare, _, asked = path.partition("?")
    _check_segments(bare)
    lead = base.path.rstrip("/")
    whole = f"{lead}/{_encoded(bare.lstrip('/'))}" if bare else base.path
    return Place(base.scheme, base.host, base.port, whole, joined(base.query, _encoded(asked, "/?"), encoded(query)))


def _check_segments(path: str) -> None:
    decoded = unquote(unquote(path, errors="replace"), errors="replace")
    for segment in re.split(r"[/\\]", decoded):
        if segment.partition(";")[0] in ("..", "."):
            raise invalid(f"`path` is {path!r}: `..` would leave what the flow's author meant")


# ── queries ─────────────────────────────────────────────────────────────────────────────────────────────────────


def encoded(query: Mapping[str, Any] | None) -> str:
    """A query as it is written: null leaves a name out, a list repeats it."""
    if not query:
        return ""
    pairs = [
        (str(name), as_text(each, f"`{name}`"))
        for name, value in query.items()
        for each in (value if isinstance(value, (list, tuple)) else (value,))
        if each is not None
    ]
    try:
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    except UnicodeEncodeError as error:
        raise invalid("a name or value of a query or form holds half a character (a lone surrogate)") from error


def joined(*queries: str) -> str:
    return "&".join(filter(None, queries))


def as_text(value: Any, what: str) -> str:
    """A scalar as text: as JSON writes it, without quotes. Raises RequestFailed (`validation`)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None or isinstance(value, (Mapping, list, tuple)):
        raise invalid(
            f"{what} is {'null' if value is None else 'a list or an object'}; a text or a number belongs there"
        )
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise invalid(f"{what} is {value}, which has no text that a service would read")
        return repr(value)
    try:
        return str(plain(value))
    except (TypeError, ValueError) as error:
        raise invalid(f"{what}: {error}") from error


def _encoded(text: str, more: str = "") -> str:
    return quote(_STRAY.sub("%25", text), safe=_SAFE + more)


# ── elsewhere ───────────────────────────────────────────────────────────────────────────────────────────────────


def resolved(place: Place, reference: str, what: str) -> Place:
    """Where a redirect or a link leads, from `place`. Raises RequestFailed (`validation`)."""
    clean = quote(reference.strip(), safe=_SAFE + "?#[]")
    try:
        whole = urljoin(str(place), clean)
    except ValueError as error:
        raise invalid(f"{what} is no URL: {error}") from error
    return parsed(whole.partition("#")[0], what)


def shown(place: Place, hidden: tuple[str, ...] = ()) -> str:
    """The URL without what nobody may see: the values of the query's `hidden` names."""
    if not hidden or not place.query:
        return str(place)
    pairs = []
    for pair in place.query.split("&"):
        name, equals, _ = pair.partition("=")
        pairs.append(f"{name}={MASK}" if equals and unquote(name) in hidden else pair)
    return str(Place(place.scheme, place.host, place.port, place.path, "&".join(pairs)))
