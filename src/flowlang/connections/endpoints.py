"""Where a connection leads, as far as its config says: what `flowlang connection test` tries before it opens it.

A plugin that knows better than its config's usual fields says so in `ConnectionPlugin.endpoints`. Nothing here opens
anything or loads a driver.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.records import frozen

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter

    from flowlang.exceptions import FlowExecutionError

URL_FIELDS = ("url", "uri", "dsn", "base_url", "endpoint", "server_url", "api_url", "connection_string")
HOST_FIELDS = ("host", "hostname", "server", "address")
_PORTS: Mapping[str, int] = {
    "http": 80, "https": 443, "ws": 80, "wss": 443,
    "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "rediss": 6379,
    "mongodb": 27017, "amqp": 5672, "amqps": 5671, "nats": 4222, "mqtt": 1883, "mqtts": 8883, "kafka": 9092,
    "ldap": 389, "ldaps": 636, "ftp": 21, "sftp": 22, "ssh": 22, "smtp": 25, "smtps": 465, "imap": 143, "imaps": 993,
}  # fmt: skip
_SECURED = frozenset({"https", "wss", "rediss", "amqps", "mqtts", "ldaps", "smtps", "imaps"})


@frozen
class Tls:
    """How a link is secured.

    `context` may read files, so it is called in a thread; it raises OSError or ValueError for one that cannot be used.
    `ask` tells the server on the plain link that TLS is wanted, and answers whether it agrees; None where a link begins
    with TLS. Unless `required`, a connection goes on without where the server has none. `name` is whom the certificate
    must be for, when it is not the host. Three are fields of the config: `verify`, how the certificate is checked;
    `trust`, the authorities (`verify` when there is no such field); `switch`, whether TLS is wanted (the URL's scheme).
    """

    context: Callable[[], ssl.SSLContext]
    ask: Callable[[StreamReader, StreamWriter], Awaitable[bool]] | None = None
    required: bool = True
    name: str | None = None
    verify: str | None = None
    trust: str | None = None
    switch: str | None = None


@frozen
class Server:
    """A server on the network. `field` is the config's field that names it, where that is neither a host nor a URL.
    `allowed` judges an address that the name stands for: why it may not be reached, or None. `database`: the one that
    tasks work on, where the config's field of that name does not tell."""

    host: str
    port: int
    tls: Tls | None = None
    field: str | None = None
    allowed: Callable[[str], str | None] | None = None
    database: str | None = None


@frozen
class Socket:
    """A Unix socket. `field` is the config's field with its path; `database` as that of a `Server`."""

    path: str
    field: str = "socket"
    database: str | None = None


@frozen
class File:
    """A file, with its absolute path. `creates`: it may be missing as long as its folder is there."""

    path: str
    field: str
    writes: bool = True
    creates: bool = True


Endpoint = Server | Socket | File


@frozen
class Whereabouts:
    """What is known of where a connection leads, for those who watch it: a host's name or address, or the path of a
    socket; the port; the database. None for what is not known, or not one."""

    server: str | None = None
    port: int | None = None
    database: str | None = None


def whereabouts(endpoints: Sequence[Endpoint], config: Mapping[str, Any]) -> Whereabouts:
    """The one place that `endpoints` name. Of several servers none is said, as nobody knows which one will answer, and
    of a proxy neither: it is only on the way."""
    named = config.get("database")
    database = str(named) if isinstance(named, (str, int)) else None
    one = endpoints[0] if len(endpoints) == 1 else None
    if isinstance(one, Server) and one.field != "proxy":
        return Whereabouts(one.host, one.port, one.database or database)
    if isinstance(one, Socket):
        return Whereabouts(one.path, None, one.database or database)
    return Whereabouts(database=database)


def guessed(config: Mapping[str, Any]) -> tuple[Server, ...]:
    """The server that the usual fields name: a URL, or a host and a port. None when they name none.

    What `config` says of TLS beyond the scheme of its URL is not understood here.
    """
    for field in URL_FIELDS:
        if isinstance(config.get(field), str) and "://" in config[field]:
            return _of_url(config[field])
    host = next((config[field] for field in HOST_FIELDS if isinstance(config.get(field), str)), "")
    port = config.get("port")
    plain = host and not set(host) & set("/,@ ")
    return (Server(host, port),) if plain and isinstance(port, int) and 0 < port < 65536 else ()


def _of_url(url: str) -> tuple[Server, ...]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ()
    scheme = parts.scheme.lower()
    port = port or _PORTS.get(scheme)
    if not parts.hostname or port is None or "," in parts.netloc:
        return ()
    return (Server(parts.hostname, port, Tls(client_context) if scheme in _SECURED else None),)


def client_context(
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    *,
    chain: bool = True,
    names: bool = True,
) -> ssl.SSLContext:
    """A TLS context that trusts the system's authorities, or those of a file.

    `chain`: whether the certificate is checked; `names`: also whom it is for.
    """
    import ssl

    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = chain and names
    if not chain:
        context.verify_mode = ssl.CERT_NONE
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


def placed(field: str, given: Mapping[str, Any], others: Sequence[str] = ()) -> tuple[str, str | None]:
    """Where a config that was `given` says `field`: the field itself, one of `others`, or a part of its URL.

    Returns the field to look at, and the part of it that is meant.
    """
    for each in (field, *others):
        if each in given:
            return each, None
    url = next((each for each in URL_FIELDS if isinstance(given.get(each), str)), None)
    return (url, field) if url is not None else (field, None)


def unreadable(error: OSError, field: str, *files: str | None) -> FlowExecutionError:
    """The error for files of certificates that cannot be read; `field` is the setting that names them."""
    from flowlang.exceptions import FlowExecutionError

    named = ", ".join(each for each in files if each)
    return FlowExecutionError(f"`{field}`: {named}: {error.strerror or error}", error_class="config", retryable=False)
