"""Where a Redis is and how to reach it: the connection's config, read into the driver's own terms.

The url holds the server, the account and the number of the database, and nothing else: what follows a `?` is
refused, so that no text from outside can weaken TLS or change a limit. Every other setting has a key of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from flowlang.connections.endpoints import Server, Socket, Tls, client_context
from flowlang.records import frozen

if TYPE_CHECKING:
    import ssl

_SCHEMES = ("redis", "rediss", "unix")
_TLS_KEYS = ("tls_ca_file", "tls_cert_file", "tls_key_file")
_MOST_DATABASES = 1 << 20


@frozen
class Settings:
    """How a handle opens. `socket` is the path of a Unix socket, None over TCP; `timeout`: seconds."""

    host: str = "localhost"
    port: int = 6379
    socket: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = None
    timeout: float = 5.0
    tls: bool = False
    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @property
    def place(self) -> str:
        """The server, as messages name it: without the account."""
        return self.socket or f"{self.host}:{self.port}"


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings that a checked config means. Raises ValueError for what cannot be used, never showing the url."""
    parts = _parts(config["url"])
    named = config.get("database")
    database = _database(parts, named)
    username = _one("username", config.get("username"), unquote(parts.username) if parts.username else None)
    password = _one("password", config.get("password"), unquote(parts.password) if parts.password else None)
    if username is not None and password is None:
        raise ValueError("there is a user but no `password`")
    return Settings(
        host=parts.hostname or "localhost",
        port=parts.port or 6379,
        socket=unquote(parts.path) if parts.scheme == "unix" else None,
        database=database,
        username=username,
        password=password,
        timeout=float(config.get("socket_timeout", 5)),
        **_tls(parts, config),
    )


def place_of(config: Mapping[str, Any]) -> Server | Socket:
    """Where a checked config leads."""
    settings = settings_of(config)
    database = str(settings.database)
    if settings.socket is not None:
        return Socket(settings.socket, "url", database)
    if not settings.tls:
        return Server(settings.host, settings.port, database=database)

    def context() -> ssl.SSLContext:
        return client_context(settings.ca_file, settings.cert_file, settings.key_file, chain=settings.verify)

    link = Tls(context, verify="tls_verify", trust="tls_ca_file")
    return Server(settings.host, settings.port, link, database=database)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_wrong = parts.port == 0
    except ValueError:
        raise ValueError("`url` cannot be read: its host or port is malformed") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("`url` must begin with `redis://`, `rediss://` (TLS) or `unix://`")
    if parts.query or parts.fragment:
        what = f"`{parts.query.partition('=')[0][:40]}`" if parts.query else "a `#`"
        raise ValueError(f"`url` takes no options, and has {what}: each setting has a key of its own in the connection")
    if parts.scheme == "unix":
        if parts.hostname or not parts.path.startswith("/") or parts.path.startswith("//") or "\0" in parts.path:
            raise ValueError("`url` must name the socket by its absolute path: `unix:///run/redis/redis.sock`")
    elif not parts.hostname or port_is_wrong or any(ord(each) <= 32 for each in parts.netloc):
        raise ValueError("`url` names no server: `redis://host:6379/0`")
    return parts


def _database(parts: SplitResult, named: int | None) -> int:
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    if path and not (path.isascii() and path.isdigit() and int(path) < _MOST_DATABASES):
        raise ValueError("the path of `url` must be the number of a database: `redis://host:6379/0`")
    if path and named is not None and int(path) != named:
        raise ValueError(f"`url` says database {int(path)} and `database` says {named}: keep one of them")
    return int(path) if path else named or 0


def _one(name: str, key: str | None, in_url: str | None) -> str | None:
    if key is not None and in_url is not None:
        raise ValueError(f"`{name}` stands in `url` too: keep one of them")
    return key if key is not None else in_url


def _tls(parts: SplitResult, config: Mapping[str, Any]) -> dict[str, Any]:
    files = {key: config.get(key) for key in _TLS_KEYS}
    verify = config.get("tls_verify", True)
    if parts.scheme != "rediss":
        idle = next((key for key, value in files.items() if value is not None), None) or (
            None if verify else "tls_verify"
        )
        if idle:
            raise ValueError(f"`{idle}` needs TLS: write `rediss://` in `url`")
        return {}
    if files["tls_key_file"] is not None and files["tls_cert_file"] is None:
        raise ValueError("`tls_key_file` needs `tls_cert_file`, the certificate it belongs to")
    return {
        "tls": True,
        "verify": verify,
        "ca_file": files["tls_ca_file"] and os.path.abspath(files["tls_ca_file"]),
        "cert_file": files["tls_cert_file"] and os.path.abspath(files["tls_cert_file"]),
        "key_file": files["tls_key_file"] and os.path.abspath(files["tls_key_file"]),
    }
