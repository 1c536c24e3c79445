"""How a PostgreSQL connection is configured: by a URL, or by its parts.

Both come out as the same `Settings`. Nothing else has a say: not the variables that libpq reads (`PGHOST`,
`PGPASSWORD`, …), no password file and no service file, so that what a flow connects to stands in the flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from flowlang.connections.endpoints import Server, Socket, Tls, client_context
from flowlang.records import frozen

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter

MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
"""How the link is protected, the weakest first."""
_PARTS = ("host", "port", "user", "password", "database", "socket")
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # its length, and a version of the protocol that stands for TLS
_OPTIONS = {"sslmode": "ssl", "sslrootcert": "ssl_ca", "application_name": "application_name"}


def _setting(type_: str, description: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "description": description, **more}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["url"]}, {"required": ["user"]}],
    "properties": {
        "url": _setting("string", "`postgresql://user:password@host:port/database`", minLength=1),
        "host": _setting("string", "Name or address of the server, in place of `url`", minLength=1),
        "port": _setting("integer", "TCP port of the server; 5432 unless given", minimum=1, maximum=65535),
        "user": _setting("string", "Role to log in as, in place of `url`", minLength=1),
        "password": _setting("string", "Password of the role; also beside a `url` that has none"),
        "database": _setting("string", "Database; the one named like the user unless given", minLength=1),
        "socket": _setting("string", "Folder of the server's Unix socket, in place of `host`", pattern="^/"),
        "ssl": _setting("string", "How the link is protected; `prefer` unless given", enum=list(MODES)),
        "ssl_ca": _setting("string", "File of the authorities to trust, for the two `verify` modes", minLength=1),
        "application_name": _setting("string", "What the server calls the session", default="flowlang", maxLength=63),
        "pool_size": _setting("integer", "Sessions that may be open at once", default=10, minimum=1, maximum=1000),
        "min_pool_size": _setting("integer", "Sessions that stay open", default=1, minimum=0, maximum=1000),
        "timeout": _setting(
            "number", "Seconds for the answer to one statement; 0: no limit", default=30, minimum=0, maximum=86400
        ),
        "idle_timeout": _setting(
            "number", "Seconds after which a session that nobody uses is closed", default=300, minimum=1, maximum=86400
        ),
        "max_lifetime": _setting(
            "number", "Seconds after which a session is replaced", default=3600, minimum=1, maximum=604800
        ),
        "statement_cache": _setting(
            "boolean", "Keep prepared statements; false behind a pooler that changes sessions", default=True
        ),
        "reset": _setting(
            "string",
            "When a session is reset between two steps: when it may have been changed, or always",
            enum=["auto", "always"],
            default="auto",
        ),
    },
}


@frozen
class Settings:
    """Where and how sessions open. `host` is a folder for a Unix socket; seconds, None for no limit."""

    host: str
    port: int
    user: str
    password: str
    database: str
    ssl: str = "prefer"
    ssl_ca: str | None = None
    application_name: str = "flowlang"
    timeout: float | None = 30.0
    statement_cache: bool = True
    always_reset: bool = False

    def __repr__(self) -> str:
        return f"Settings({self.user} at {self.host}:{self.port}/{self.database})"


class Refused(ValueError):
    """The config cannot be used; the text says why, and quotes no value that may be secret."""


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings of a config that fits the schema. Raises `Refused`."""
    parts = _of_url(config) if "url" in config else _of_parts(config)
    mode = parts.get("ssl", "prefer")
    if parts.get("ssl_ca") and not mode.startswith("verify"):
        raise Refused(f"`ssl_ca` is used by `ssl: verify-ca` and `ssl: verify-full`, and `ssl` is `{mode}`")
    if config["min_pool_size"] > config["pool_size"]:
        raise Refused(f"`min_pool_size` {config['min_pool_size']} is larger than `pool_size` {config['pool_size']}")
    if any("\0" in each for each in parts.values() if isinstance(each, str)):
        raise Refused("a setting holds a NUL character")
    return Settings(
        host=parts["host"],
        port=parts.get("port") or 5432,
        user=parts["user"],
        password=parts.get("password") or "",
        database=parts.get("database") or parts["user"],
        ssl=mode,
        ssl_ca=parts.get("ssl_ca"),
        application_name=parts.get("application_name", config["application_name"]),
        timeout=float(config["timeout"]) or None,
        statement_cache=config["statement_cache"],
        always_reset=config["reset"] == "always",
    )


def _of_parts(config: Mapping[str, Any]) -> dict[str, Any]:
    parts = {key: config[key] for key in (*_PARTS, "ssl", "ssl_ca") if key in config}
    if "socket" in parts:
        if "host" in parts:
            raise Refused("`host` and `socket` are two places: give one of them")
        parts["host"], parts["ssl"] = parts.pop("socket"), parts.get("ssl", "disable")
    elif "host" not in parts:
        raise Refused("`host` is missing: the server's name, or `socket`, or all in one `url`")
    elif parts["host"].startswith("/") or "," in parts["host"]:
        raise Refused("`host` is one name or address; the folder of a Unix socket is `socket`")
    return parts


def _of_url(config: Mapping[str, Any]) -> dict[str, Any]:
    more = [key for key in _PARTS if key in config and key != "password"]
    if more:
        raise Refused(f"`url` says all of it, and `{more[0]}` stands beside it: give one of them")
    parts = _split(config["url"])
    if "password" in config:
        if "password" in parts:
            raise Refused("the `url` has a password, and `password` stands beside it: give one of them")
        parts["password"] = config["password"]
    if "ssl" in config:
        given, asked = config["ssl"], parts.get("ssl", config["ssl"])
        if MODES.index(asked) < MODES.index(given):
            raise Refused(f"the `url` says `sslmode={asked}`, which is weaker than `ssl: {given}`")
        parts["ssl"] = asked
    if "ssl_ca" in config:
        parts["ssl_ca"] = config["ssl_ca"]
    return parts


def _split(url: str) -> dict[str, Any]:
    """The parts of a URL. No message quotes it: it holds the password."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise Refused("`url` is no URL: a `/`, `?`, `#`, `@` or `[` in the password is written as `%2F` …") from None
    if split.scheme not in ("postgresql", "postgres"):
        raise Refused("`url` must begin with `postgresql://`")
    if not split.hostname or "," in split.netloc:
        raise Refused("`url` must name one host: `postgresql://user:password@host:port/database`")
    if not split.username:
        raise Refused("`url` names no user: `postgresql://user:password@host:port/database`")
    host = unquote(split.hostname)
    if host.startswith("/"):
        raise Refused("`url` names a Unix socket: use `socket`, `user` and `database` in its place")
    parts: dict[str, Any] = {"host": host, "user": unquote(split.username)}
    if port is not None:
        parts["port"] = port
    if split.password:
        parts["password"] = unquote(split.password)
    if split.path.strip("/"):
        parts["database"] = unquote(split.path[1:])
    return {**parts, **_options(split.query)}


def _options(query: str) -> dict[str, str]:
    """The options of a URL. Those that read files, name other servers or change settings are refused like unknown
    ones."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            known = ", ".join(f"`{each}`" for each in _OPTIONS)
            raise Refused(f"the option `{name[:40]}` of the `url` is not supported; known: {known}")
        if _OPTIONS[name] in found:
            raise Refused(f"the option `{name}` of the `url` is given twice")
        found[_OPTIONS[name]] = value
    if found.get("ssl", "prefer") not in MODES:
        raise Refused(f"`sslmode` of the `url` must be one of {', '.join(f'`{each}`' for each in MODES)}")
    return found


def tls(settings: Settings) -> ssl.SSLContext | str | bool:
    """What asyncpg is given as `ssl`. Raises OSError or `ssl.SSLError` when the authorities cannot be read."""
    import ssl

    if settings.ssl == "disable":
        return False
    if settings.ssl == "prefer":
        return "prefer"  # the only way to have the driver go on without
    context = ssl.create_default_context(cafile=settings.ssl_ca)
    context.check_hostname = settings.ssl == "verify-full"
    if settings.ssl == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def place_of(settings: Settings) -> Server | Socket:
    """Where sessions lead."""
    if settings.host.startswith("/"):
        return Socket(f"{settings.host}/.s.PGSQL.{settings.port}", "socket", settings.database)
    if settings.ssl == "disable":
        return Server(settings.host, settings.port, database=settings.database)

    def context() -> ssl.SSLContext:
        made = tls(settings)
        return client_context(chain=False) if isinstance(made, (str, bool)) else made

    link = Tls(context, _asked, settings.ssl != "prefer", verify="ssl", trust="ssl_ca", switch="ssl")
    return Server(settings.host, settings.port, link, database=settings.database)


async def _asked(reader: StreamReader, writer: StreamWriter) -> bool:
    """Whether the server takes TLS (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL)."""
    writer.write(_SSL_REQUEST)
    await writer.drain()
    return await reader.readexactly(1) == b"S"
