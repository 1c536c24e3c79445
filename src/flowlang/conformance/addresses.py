"""Where a service is, read from a config: in a URL, or in `host` and `port`; and the same config for another place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from flowlang.records import frozen

# The ports that URL schemes stand for when they name none (IANA's register of service names).
PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}
PORTS |= {"redis": 6379, "rediss": 6379, "mongodb": 27017, "amqp": 5672, "nats": 4222, "ftp": 21}
_HOSTS = ("host", "hostname", "server")


@frozen
class Address:
    """`host` and `port` of a service, and the field that says so: a URL, or the name of the host beside `port`."""

    host: str
    port: int
    field: str
    in_url: bool

    def moved(self, config: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        """`config` with the service at another place; all else as it was."""
        if not self.in_url:
            return {**config, self.field: host, "port": port}
        url = urlsplit(str(config[self.field]))
        info = url.netloc.rpartition("@")[0]
        return {
            **config,
            self.field: url._replace(netloc=f"{info}@{host}:{port}" if info else f"{host}:{port}").geturl(),
        }


def address_of(config: Mapping[str, Any]) -> Address | None:
    """Where the service is; None when the config names no place on a network."""
    for field, value in config.items():
        url = url_of(value)
        if url is not None and url.hostname and (url.port or url.scheme in PORTS):
            return Address(url.hostname, url.port or PORTS[url.scheme], field, in_url=True)
    for field in _HOSTS:
        if isinstance(config.get(field), str) and isinstance(config.get("port"), int):
            return Address(config[field], config["port"], field, in_url=False)
    return None


def url_of(value: object) -> SplitResult | None:
    """`value` as a URL with a place in it; None when it is none."""
    if not isinstance(value, str) or "://" not in value:
        return None
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return None
    return url if url.netloc else None


def with_password(url: str, password: str) -> str:
    """`url` with another password in its user info; unchanged when it has none."""
    parts = urlsplit(url)
    info, at, place = parts.netloc.rpartition("@")
    user, colon, _ = info.partition(":")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl() if at and colon else url


def components(url: str) -> dict[str, Any]:
    """What a URL says, under the names that configs give it: host, port, user, password, database."""
    parts = urlsplit(url)
    found: dict[str, Any] = {"host": parts.hostname, "port": parts.port or PORTS.get(parts.scheme)}
    found |= {"user": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    found |= {"database": unquote(parts.path.lstrip("/"))}
    return {name: value for name, value in found.items() if value}
