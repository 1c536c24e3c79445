"""From a connection's config to the options of the driver's client.

A setting has one place. Options of the URL that have a key of the config are refused there, and so are those that
would weaken what the config promises; what is allowed is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from flowlang.connections.endpoints import Server, Socket, Tls, client_context

if TYPE_CHECKING:
    import ssl

_KEYS = {  # options of the driver that have a key of their own
    "maxpoolsize": "max_pool_size",
    "minpoolsize": "min_pool_size",
    "serverselectiontimeoutms": "server_selection_timeout_ms",
    "connecttimeoutms": "connect_timeout_ms",
    "sockettimeoutms": "socket_timeout_ms",
    "waitqueuetimeoutms": "wait_queue_timeout_ms",
    "maxidletimems": "max_idle_time_ms",
    "tlscafile": "tls_ca_file",
    "tlscertificatekeyfile": "tls_certificate_key_file",
}
_WEAKER = {  # options that switch off a check of the server's certificate
    "tlsinsecure",
    "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames",
    "tlsdisableocspendpointcheck",
    "ssl_cert_reqs",
    "ssl_match_hostname",
}
_ALLOWED = {
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "compressors",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxstalenessseconds",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "w",
    "wtimeoutms",
    "zlibcompressionlevel",
}
_NO_NAME = frozenset('/\\. "$\0')


def problem(config: Mapping[str, Any]) -> str | None:
    """Why a config cannot be used, or None. Loads no driver, and never repeats the URL, which holds a password."""
    url, database = config["url"], config["database"]
    scheme, _, rest = url.partition("://")
    if scheme not in ("mongodb", "mongodb+srv") or not rest:
        return "`url` must begin with `mongodb://` or `mongodb+srv://`, followed by a host"
    if _NO_NAME & set(database) or len(database.encode()) > 63:
        return '`database` is a name of at most 63 bytes without `/`, `\\`, `.`, `"`, `$` and blanks'
    if config.get("min_pool_size", 0) > config.get("max_pool_size", 100):
        return "`min_pool_size` is larger than `max_pool_size`"
    found = options(url)
    return next(_refused(found, config, secure=scheme == "mongodb+srv"), None)


def _refused(found: Mapping[str, str], config: Mapping[str, Any], *, secure: bool) -> Iterator[str]:
    for name, value in found.items():
        low = name.lower()
        if low in _WEAKER:
            yield f"`{name}` in `url` switches a check off: write `tls_verify: false` if that is meant"
        elif low in _KEYS:
            yield f"`{name}` in `url` has a key of its own: write `{_KEYS[low]}`"
        elif low not in _ALLOWED:
            yield f"`{name}` is no option that `url` may have; known: {', '.join(sorted(_ALLOWED))}"
        elif low == "w" and value == "0":
            yield "`w=0` in `url` would leave every write unanswered, so that no failure is ever seen"
    low_options = {name.lower(): value.lower() for name, value in found.items()}
    encrypted = low_options.get("tls", low_options.get("ssl", str(secure).lower())) == "true" or config.get("tls")
    if low_options.get("authmechanism") == "plain" and not encrypted:
        yield "`authMechanism=PLAIN` sends the password as it is: it needs `tls: true`"


def options(url: str) -> dict[str, str]:
    """The options behind the `?` of a URL."""
    return dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))


def hosts(url: str) -> str:
    """The hosts of a URL, without account and options, for messages."""
    return unquote(url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition("?")[0])


def servers(config: Mapping[str, Any]) -> list[Server | Socket]:
    """Each server that the URL names; none where the driver asks the name service for them (`mongodb+srv`)."""
    url = config["url"]
    if url.startswith("mongodb+srv"):
        return []
    found: list[Server | Socket] = []
    for each in hosts(url).split(","):
        if each.endswith(".sock"):
            found.append(Socket(each, "url"))
            continue
        host, _, port = each.rpartition(":") if each.rpartition(":")[2].isdigit() else (each, "", "27017")
        found.append(Server(host.strip("[]"), int(port), _link_of(config)))
    return found


def _link_of(config: Mapping[str, Any]) -> Tls | None:
    asked = {name.lower(): value.lower() for name, value in options(config["url"]).items()}
    wanted = config.get("tls")
    if not (asked.get("tls", asked.get("ssl")) == "true" if wanted is None else wanted):
        return None

    def context() -> ssl.SSLContext:
        own = config.get("tls_certificate_key_file")
        return client_context(config.get("tls_ca_file"), own, chain=config.get("tls_verify") is not False)

    return Tls(context, verify="tls_verify", trust="tls_ca_file", switch="tls")


def client_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords for the driver's client. What the URL says of retries counts; else the driver does not retry."""
    given = {name.lower() for name in options(config["url"])}
    made: dict[str, Any] = {
        "maxPoolSize": config.get("max_pool_size", 100),
        "minPoolSize": config.get("min_pool_size", 0),
        "serverSelectionTimeoutMS": config.get("server_selection_timeout_ms", 10_000),
        "connectTimeoutMS": config.get("connect_timeout_ms", 10_000),
        "socketTimeoutMS": config.get("socket_timeout_ms", 0),
        "waitQueueTimeoutMS": config.get("wait_queue_timeout_ms", 30_000),
    }
    from pymongo.common import VALIDATORS

    if "maxadaptiveretries" in VALIDATORS:  # retries of an overloaded server, in drivers that have them
        made["maxAdaptiveRetries"] = 0
    for name in ("retryReads", "retryWrites"):
        if name.lower() not in given:
            made[name] = False
    if "appname" not in given:
        made["appname"] = "flowlang"
    idle = config.get("max_idle_time_ms")
    if idle:
        made["maxIdleTimeMS"] = idle
    return made | _tls(config)


def _tls(config: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if config.get("tls") is not None:
        made["tls"] = config["tls"]
    if config.get("tls_ca_file"):
        made["tlsCAFile"] = config["tls_ca_file"]
    if config.get("tls_certificate_key_file"):
        made["tlsCertificateKeyFile"] = config["tls_certificate_key_file"]
    if config.get("tls_verify") is False:
        made["tlsAllowInvalidCertificates"] = True
    return made
