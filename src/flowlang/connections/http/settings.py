"""What a connection may be told: the schema, what it cannot say, and the settings that follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flowlang.connections.http.addresses import is_private_host
from flowlang.connections.http.errors import RequestFailed
from flowlang.connections.http.urls import Place, parsed
from flowlang.records import frozen

MIB = 1024 * 1024
REDIRECTS = 5  # followed when `follow_redirects` is true

_AUTH: dict[str, Any] = {
    "type": "object",
    "required": ["type"],
    "additionalProperties": False,
    "default": {"type": "none"},
    "description": "How the service knows who asks",
    "properties": {
        "type": {
            "type": "string",
            "enum": ["none", "basic", "bearer", "api_key", "oauth2_client_credentials"],
            "description": "The kind; each has keys of its own",
        },
        "username": {"type": "string", "description": "`basic`: the user"},
        "password": {"type": "string", "writeOnly": True, "description": "`basic`: the password"},
        "token": {"type": "string", "writeOnly": True, "description": "`bearer`: the token"},
        "key": {"type": "string", "writeOnly": True, "description": "`api_key`: the key"},
        "name": {"type": "string", "minLength": 1, "description": "`api_key`: the header or query parameter"},
        "in": {"type": "string", "enum": ["header", "query"], "description": "`api_key`: where it stands; `header`"},
        "token_url": {"type": "string", "description": "`oauth2_client_credentials`: where tokens are given"},
        "client_id": {"type": "string", "description": "`oauth2_client_credentials`: who asks for them"},
        "client_secret": {"type": "string", "writeOnly": True, "description": "`oauth2_client_credentials`"},
        "scope": {"type": "string", "description": "`oauth2_client_credentials`: scopes, with spaces between"},
        "audience": {"type": "string", "description": "`oauth2_client_credentials`: for which service"},
        "send": {
            "type": "string",
            "enum": ["header", "body"],
            "description": "`oauth2_client_credentials`: where the client's secret stands; `header`",
        },
    },
}
_SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": 86400}
_VERIFY = {
    "description": "Whose certificates are trusted: the system's, those of a file, or false for anybody's",
    "default": True,
    "anyOf": [
        {"type": "boolean"},
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "ca_file": {"type": "string", "minLength": 1, "description": "PEM file of authorities"},
                "cert_file": {"type": "string", "minLength": 1, "description": "PEM file of our own certificate"},
                "key_file": {"type": "string", "minLength": 1, "description": "PEM file of its key"},
                "key_password": {"type": "string", "writeOnly": True, "description": "What opens the key"},
            },
        },
    ],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["base_url"],
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "minLength": 1,
            "examples": ["https://api.example.com/v1"],
            "description": "Where every path begins",
        },
        "auth": _AUTH,
        "headers": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "default": {},
            "description": "Headers of every request",
        },
        "timeout": {
            "description": "Seconds for a whole request; or `connect`, `read` (between two pieces) and `total`",
            "default": 30,
            "anyOf": [
                _SECONDS,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "connect": {**_SECONDS, "description": "Seconds for a connection, TLS included"},
                        "read": {**_SECONDS, "description": "Seconds between two pieces of a reply"},
                        "total": {**_SECONDS, "description": "Seconds for the whole request"},
                    },
                },
            ],
        },
        "max_connections": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 20,
            "description": "Connections that may be open at once",
        },
        "retry_after_max": {
            "type": "number",
            "minimum": 0,
            "maximum": 86400,
            "default": 60,
            "description": "Seconds; the longest `Retry-After` of a service that is heeded",
        },
        "max_body": {
            "type": "integer",
            "minimum": 1,
            "maximum": 2**31,
            "default": 64 * MIB,
            "description": "Bytes of a reply, decompressed",
        },
        "follow_redirects": {
            "type": ["boolean", "integer"],
            "minimum": 0,
            "maximum": 20,
            "default": REDIRECTS,
            "description": "How many redirects of one request are followed; false for none",
        },
        "allow_private": {
            "type": "boolean",
            "default": False,
            "description": "Allow addresses that are not of the public internet",
        },
        "verify": _VERIFY,
        "proxy": {
            "type": ["string", "null"],
            "default": None,
            "description": "URL of a proxy that makes the connections; needs `allow_private: true`",
        },
    },
}

AUTH_NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "none": (),
        "basic": ("username", "password"),
        "bearer": ("token",),
        "api_key": ("name", "key"),
        "oauth2_client_credentials": ("token_url", "client_id", "client_secret"),
    }
)
AUTH_TAKES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **AUTH_NEEDS,
        "api_key": ("name", "key", "in"),
        "oauth2_client_credentials": ("token_url", "client_id", "client_secret", "scope", "audience", "send"),
    }
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT = re.compile(r"[^\t -~\x80-\xff]")
_OURS = frozenset(
    "host content-length transfer-encoding connection keep-alive proxy-connection te trailer upgrade expect".split()
)


@frozen
class Settings:
    """A config, read. Times in seconds, sizes in bytes. `proxy` is the place of the proxy and its user and password."""

    base: Place
    auth: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...]
    connect_timeout: float | None
    read_timeout: float | None
    timeout: float
    max_connections: int
    retry_after_max: float
    max_body: int
    redirects: int
    allow_private: bool
    verify: Any
    proxy: tuple[Place, tuple[str, str] | None] | None

    def times(self, timeout: float | None) -> dict[str, float]:
        """The limits of one request, which may have a whole one of its own. What is not set apart is that."""
        whole = timeout or self.timeout
        between = min(self.read_timeout or whole, whole)
        return {"connect": min(self.connect_timeout or whole, whole), "read": between, "write": between}


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings of a config that has no problem."""
    connect, read, total = _times(config.get("timeout", 30))
    followed = config.get("follow_redirects", REDIRECTS)
    return Settings(
        base=parsed(config["base_url"], "`base_url`"),
        auth=config.get("auth") or {"type": "none"},
        headers=tuple((config.get("headers") or {}).items()),
        connect_timeout=connect,
        read_timeout=read,
        timeout=total,
        max_connections=config.get("max_connections", 20),
        retry_after_max=config.get("retry_after_max", 60),
        max_body=config.get("max_body", 64 * MIB),
        redirects=(REDIRECTS if followed else 0) if isinstance(followed, bool) else followed,
        allow_private=config.get("allow_private", False),
        verify=config.get("verify", True),
        proxy=_proxy(config["proxy"]) if config.get("proxy") else None,
    )


def _times(given: Any) -> tuple[float | None, float | None, float]:
    if not isinstance(given, Mapping):
        return None, None, float(given)
    return given.get("connect"), given.get("read"), float(given.get("total", 30))


def _proxy(url: str) -> tuple[Place, tuple[str, str] | None]:
    from urllib.parse import unquote

    scheme, mark, rest = url.partition("://")
    info, at, address = rest.rpartition("@")
    user, _, password = info.partition(":")
    return parsed(f"{scheme}{mark}{address}", "`proxy`"), (unquote(user), unquote(password)) if at else None


# ── what the schema cannot say ──────────────────────────────────────────────────────────────────────────────────


def problem_in(config: Mapping[str, Any]) -> str | None:
    """Why a config that fits the schema cannot be used; None when it can."""
    try:
        found = settings_of(config)
    except RequestFailed as error:
        return str(error)
    if found.base.query:
        return "`base_url` holds a query: give it to each request as `query`"
    private = "which is no address of the public internet: set `allow_private: true` if it is meant"
    if not found.allow_private and is_private_host(found.base.host):
        return f"`base_url` leads to {found.base.host}, {private}"
    if found.proxy is not None and not found.allow_private:
        return (
            "with a `proxy` it is the proxy that looks up names, and nothing here can tell where it connects to: "
            "set `allow_private: true` if the proxy is trusted with that"
        )
    return _problem_of_auth(found, private) or _problem_of_headers(found)


def _problem_of_auth(found: Settings, private: str) -> str | None:
    kind = found.auth["type"]
    lacking = [f"`{each}`" for each in AUTH_NEEDS[kind] if not found.auth.get(each)]
    if lacking:
        return f"`auth` of type {kind} needs {' and '.join(lacking)}"
    strange = [f"`{each}`" for each in found.auth if each != "type" and each not in AUTH_TAKES[kind]]
    if strange:
        takes = ", ".join(f"`{each}`" for each in AUTH_TAKES[kind]) or "no other key"
        return f"`auth` of type {kind} takes {takes}, not {' and '.join(strange)}"
    if kind == "api_key" and found.auth.get("in", "header") == "header":
        return header_problem(found.auth["name"], found.auth["key"], "`auth`")
    if kind == "bearer":
        return header_problem("authorization", found.auth["token"], "`auth.token`")
    if kind == "basic" and ":" in found.auth["username"]:
        return "`auth.username` holds a colon, which ends a user name in this kind of authentication"
    if kind == "oauth2_client_credentials":
        place = _token_place(found.auth["token_url"])
        if isinstance(place, str):
            return place
        if not found.allow_private and is_private_host(place.host):
            return f"`auth.token_url` leads to {place.host}, {private}"
    return None


def _token_place(url: str) -> Place | str:
    try:
        return parsed(url, "`auth.token_url`")
    except RequestFailed as error:
        return str(error)


def _problem_of_headers(found: Settings) -> str | None:
    for name, value in found.headers:
        problem = header_problem(name, value, "`headers`")
        if problem is not None:
            return problem
    return None


def header_problem(name: str, value: str, where: str) -> str | None:
    """Why a header cannot be sent. Its value is never quoted."""
    if not _TOKEN.fullmatch(name):
        return f"{where}: {name!r} is no name of a header"
    if name.lower() in _OURS:
        return f"{where}: the header `{name}` is made by the connection itself"
    if _UNFIT.search(value) or value != value.strip(" \t"):
        return f"{where}: the value of `{name}` holds a character that no header may hold"
    return None
