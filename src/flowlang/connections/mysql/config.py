"""The settings of a connection to MySQL: their schema, and the same settings in a URL."""

from __future__ import annotations

from typing import Any, Literal

from flowlang.records import frozen

SslMode = Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"]

_PARTS = ("host", "user", "password", "database")
_OPTIONS = frozenset({"charset", "timeout", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"})
_SCHEMES = ("mysql", "mariadb")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "description": "`mysql://user:password@host:3306/database`, instead of the five below",
            "writeOnly": True,
        },
        "host": {
            "type": "string",
            "minLength": 1,
            "description": "The server's name or address",
            "examples": ["localhost"],
        },
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 3306, "description": "Its port"},
        "user": {"type": "string", "minLength": 1, "description": "The account"},
        "password": {"type": "string", "description": "Its password", "writeOnly": True},
        "database": {"type": "string", "minLength": 1, "maxLength": 64, "description": "The database"},
        "pool_size": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 10,
            "description": "Sessions that may be open at once",
        },
        "min_pool_size": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1000,
            "default": 1,
            "description": "Sessions opened at the start and kept",
        },
        "charset": {
            "enum": ["utf8mb4", "utf8mb3", "utf8", "latin1", "ascii"],
            "type": "string",
            "default": "utf8mb4",
            "description": "The charset of what is sent; only those in which no byte of a letter can be a quote",
        },
        "timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 3600,
            "default": 10,
            "description": "Seconds to open one session",
        },
        "ssl_mode": {
            "enum": ["disabled", "preferred", "required", "verify_ca", "verify_identity"],
            "type": "string",
            "default": "preferred",
            "description": "TLS: never, where offered, always, with a known certificate, with that of this very host",
        },
        "ssl_ca": {"type": "string", "minLength": 1, "description": "File with the certificates to trust"},
        "ssl_cert": {"type": "string", "minLength": 1, "description": "File with this client's certificate"},
        "ssl_key": {"type": "string", "minLength": 1, "writeOnly": False, "description": "File with its key"},
    },
}  # fmt: skip


@frozen
class Settings:
    """How a session opens. `timeout`: seconds for all of it."""

    host: str
    port: int
    user: str
    password: str
    database: str
    charset: str = "utf8mb4"
    timeout: float = 10.0
    ssl_mode: SslMode = "preferred"
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None

    def __repr__(self) -> str:
        return f"Settings({self.user}@{self.host}:{self.port}/{self.database})"  # without the password


def problem(config: dict[str, Any]) -> str | None:
    """What is wrong with a config that fits the schema."""
    try:
        settings(config)
    except ValueError as error:
        return str(error)
    if config.get("min_pool_size", 1) > config.get("pool_size", 10):
        return (
            f"`min_pool_size` is {config.get('min_pool_size', 1)}: more than `pool_size`, {config.get('pool_size', 10)}"
        )
    return None


def settings(config: dict[str, Any]) -> Settings:
    """How sessions open. Raises ValueError for settings that contradict each other, never with a secret in it."""
    given = dict(config)
    if "url" in given:
        doubled = next((key for key in _PARTS if key in given), None)
        if doubled is not None:
            raise ValueError(f"`{doubled}` stands beside `url`, which says it already: leave one of them out")
        url = _from_url(given.pop("url"))
        doubled = next((key for key in url if key in given and given[key] != default(key)), None)
        if doubled is not None:
            raise ValueError(f"`{doubled}` is set in `url` and beside it: leave one of them out")
        given |= url
    missing = next((key for key in _PARTS if key not in given), None)
    if missing is not None:
        raise ValueError(f"`{missing}` is missing: `host`, `user`, `password` and `database` are needed, or `url`")
    if "\0" in "".join(str(given[key]) for key in _PARTS):
        raise ValueError("`host`, `user`, `password` and `database` may hold no NUL")
    if given.get("ssl_key") and not given.get("ssl_cert"):
        raise ValueError("`ssl_key` is the key of a certificate: `ssl_cert` is missing")
    chosen = {key: value for key, value in given.items() if key not in ("pool_size", "min_pool_size")}
    chosen.setdefault("port", default("port"))
    return Settings(**chosen)


def default(key: str) -> Any:
    return SCHEMA["properties"][key].get("default")


def _from_url(text: str) -> dict[str, Any]:
    from urllib.parse import parse_qsl, unquote, urlsplit

    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("`url` cannot be read: its port must be a number of 1 to 65535") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("`url` must begin with `mysql://` or `mariadb://`")
    database = unquote(parts.path.removeprefix("/"))
    found: dict[str, Any] = {
        "host": parts.hostname,
        "user": unquote(parts.username or ""),
        "database": database,
    }
    lacking = next((key for key, value in found.items() if not value), None)
    if lacking is not None or "/" in parts.path[1:] or parts.fragment:
        raise ValueError(f"`url` names no {lacking}" if lacking else "`url` ends with the name of the database")
    found["password"] = unquote(parts.password or "")
    if port is not None:
        found["port"] = port
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in _OPTIONS:
            raise ValueError(
                f"`url` has the option `{key}`; it may have {', '.join(f'`{o}`' for o in sorted(_OPTIONS))}"
            )
        found[key] = _option(key, value)
    return found


def _option(key: str, value: str) -> Any:
    declared = SCHEMA["properties"][key]
    if "enum" in declared and value not in declared["enum"]:
        raise ValueError(f"`{key}` in `url` must be one of {', '.join(f'`{each}`' for each in declared['enum'])}")
    if declared["type"] != "number":
        return value
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= declared["maximum"]:
        raise ValueError(f"`{key}` in `url` must be a number of seconds up to {declared['maximum']}")
    return seconds
