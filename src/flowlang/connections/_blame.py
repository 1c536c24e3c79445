"""From an error of a plugin to the stage of a connection test it belongs to, and to the setting to look at."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowlang.connections import _schema as reading
from flowlang.connections._schema import Schema
from flowlang.connections._secrets import leaves, password_in
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.endpoints import HOST_FIELDS, URL_FIELDS, placed
from flowlang.connections.errors import classify, describe
from flowlang.exceptions import FlowLangError
from flowlang.records import frozen

_LONGEST = 400  # characters of a reason
QUOTED = re.compile(r"`([A-Za-z_][\w.]*)`")
_STAGES: Mapping[str, str] = {"auth": "auth", "permission": "privilege"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "permission": ("user", "username", "auth"),
    "not_found": ("database", "db", "dbname"),
    "connect": HOST_FIELDS,
    "timeout": HOST_FIELDS,
    "connection_lost": HOST_FIELDS,
    "unavailable": HOST_FIELDS,
    "config": ("database", "db", "dbname"),
}
_TLS_FIELDS = ("verify", "tls_verify", "ssl", "ssl_mode", "sslmode", "tls")
_REMEDIES: Mapping[str, str] = {
    "auth": "look at the account and its password or token, and whether they may come from this machine",
    "permission": "have the account granted what it lacks, or use another one",
    "not_found": "correct the name, or create it at the service",
    "connect": "look whether the service takes connections from this machine; its own log may say why",
    "connection_lost": "look at the service's own log: it closed the link",
    "timeout": "look whether the service is overloaded; `connect_timeout` bounds the whole test",
    "unavailable": "try again when the service has recovered",
    "rate_limited": "try again later",
    "config": "correct the setting",
}


@frozen
class Blame:
    """`stage` is None where the failure belongs to the stage in which it was raised. `part`: of a URL."""

    stage: str | None
    error_class: str
    field: str | None
    part: str | None
    reason: str
    remedy: str


def blame(error: BaseException, plugin: ConnectionPlugin, given: Mapping[str, Any], *, opening: bool) -> Blame:
    """What to say of what `connect()` (`opening`), a lease or `ping()` raised. `given` are the settings as written."""
    name = classify(error, plugin, "connect" if opening else "task").error_class
    chain = list(_chain(error))
    schema = plugin.get_config_schema()
    stage = _STAGES.get(name)
    if opening and any(isinstance(each, ImportError) for each in chain):
        stage = "dependencies"
    notes = [str(note) for each in chain for note in getattr(each, "__notes__", ())]
    reason = _reason(error)
    field, part = _field(name, chain, [*notes, reason], schema, given)
    remedy = notes[0] if notes else _REMEDIES.get(name, "look at the service's own log")
    if any(isinstance(each, ssl.SSLError) for each in chain):
        remedy = "look at the server's certificate, and at the settings that say whom to trust"
    return Blame(stage, name, field, part, reason, _line(remedy))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    below: BaseException | None = error
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or (None if below.__suppress_context__ else below.__context__)


def _reason(error: BaseException) -> str:
    """What it says, on one line; with its type where that is not FlowLang's own."""
    if isinstance(error, FlowLangError) and str(error):
        return _line(str(error))
    return _line(describe(error))


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _field(
    name: str, chain: Sequence[BaseException], texts: Sequence[str], schema: Schema, given: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    declared = reading.properties(schema, schema)
    if any(isinstance(each, ssl.SSLError) for each in chain):
        found = next((each for each in _TLS_FIELDS if each in declared), None)
        return (found, None) if found else _known(HOST_FIELDS, declared, given)
    if name == "auth":
        return _credential(schema, declared, given)
    quoted = [word for text in texts for word in QUOTED.findall(text)]
    named = next((each for each in quoted if each.partition(".")[0] in declared), None)
    if named is not None:
        root = named.partition(".")[0]
        return (named, None) if root in given or root in URL_FIELDS else placed(named, given)
    return _known(_FIELDS.get(name, ()), declared, given)


def _known(
    fields: Sequence[str], declared: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """The first of `fields` that is set, or could be, or the URL that holds it."""
    wanted = next((each for each in fields if each in given), None)
    wanted = wanted or next((each for each in fields if each in declared), None)
    if wanted is not None:
        return placed(wanted, given)
    url = next((each for each in URL_FIELDS if each in given), None)
    return url, fields[0] if url and fields else None


def _credential(
    schema: Schema, declared: Mapping[str, Schema], given: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """The setting that proves who we are: a secret that is set, a password in the URL, one that could be set."""
    for path, _ in leaves(given, ()):
        if any(
            isinstance(key, str)
            and key not in URL_FIELDS
            and reading.is_secret(key, reading.at(schema, path[:at]), schema)
            for at, key in enumerate(path, 1)
        ):
            return ".".join(map(str, path)), None
    url = next((each for each in URL_FIELDS if isinstance(given.get(each), str)), None)
    if url is not None and password_in(given[url]):
        return url, "password"
    possible = next((key for key, each in declared.items() if reading.is_secret(key, each, schema)), None)
    if possible in (None, *URL_FIELDS):
        return (url, "password") if url is not None else ("auth" if "auth" in declared else None, None)
    return possible, None


def setting_in(text: str, schema: Schema) -> str:
    """The setting that a message names in backticks; what it names first when none of that is a setting."""
    declared = reading.properties(schema, schema)
    words = QUOTED.findall(text)
    return next((each for each in words if each.partition(".")[0] in declared), words[0] if words else "")
