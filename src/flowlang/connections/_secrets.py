"""Which values of a config are secret: fields that say so, passwords inside URLs and connection strings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.connections._schema import Path, Schema, is_secret, property_schema

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://(.*)", re.DOTALL)
_PAIR = re.compile(
    r"(?:^|[\s;?&])(?:[a-z_]*(?:password|passwd|pwd|secret|token|api_?key|access_?key|account_?key))\s*=\s*"
    r"('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s;&]+)",
    re.IGNORECASE,
)


def secret_paths(schema: Schema, value: Any) -> frozenset[Path]:
    """The paths in `value` of what must never be shown; all below such a path is secret too."""
    return frozenset(_paths(schema, value, (), schema))


def secret_texts(schema: Schema, value: Any) -> list[str]:
    """Every text of `value` that must never be shown, the passwords inside URLs included, each once."""
    found: dict[str, None] = {}
    hidden = secret_paths(schema, value)
    for path, each in leaves(value, ()):
        secret = any(path[: len(prefix)] == prefix for prefix in hidden)
        if secret and each is not None and not isinstance(each, bool):
            found[each.decode("latin-1") if isinstance(each, bytes) else str(each)] = None
        if isinstance(each, str):
            found.update(dict.fromkeys(_inside(each)))
    return [each for each in found if each]


def password_in(text: str) -> str | None:
    """The password in the user info of a URL, as it is written."""
    url = _URL.fullmatch(text)
    return _user_info(url[1]).partition(":")[2] or None if url is not None else None


def hides(paths: frozenset[Path], path: Path) -> bool:
    """Whether `path` is one of `paths`, below one, or contains one."""
    return any(path[: len(each)] == each or each[: len(path)] == path for each in paths)


def leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every scalar inside `value` with its path."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(each, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path, value


def _paths(schema: object, value: Any, path: Path, root: Schema) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            inner = property_schema(schema, str(key), root)
            if is_secret(str(key), inner, root):
                yield (*path, str(key))
            else:
                yield from _paths(inner, each, (*path, str(key)), root)
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _paths(property_schema(schema, index, root), each, (*path, index), root)


def _inside(text: str) -> Iterator[str]:
    """The secrets inside a URL or a connection string (`host=… password=…`), as written and decoded."""
    from urllib.parse import unquote, unquote_plus

    url = _URL.fullmatch(text)
    if url is not None:
        web = text[:4].lower() == "http"
        for each in _of_user_info(_user_info(url[1]), web=web):
            yield from {each: None, unquote(each): None}
    for match in _PAIR.finditer(text):
        raw = match[1]
        bare = raw[1:-1] if raw[0] in "'\"" and raw[-1] == raw[0] and len(raw) > 1 else raw
        yield from {bare: None, (unquote_plus(bare) if url is not None else bare): None}


def _user_info(rest: str) -> str:
    """What stands before the `@` of an authority, also when an unescaped `/`, `?` or `#` of the password hides it."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.rpartition("@")[0]
    host, colon, port = authority.rpartition(":")
    looks_cut = bool(colon) and not port.isdigit() and not host.startswith("[")
    return rest.rpartition("@")[0] if looks_cut and "@" in rest else ""


def _of_user_info(info: str, *, web: bool) -> Iterator[str]:
    """The password; of a web address the user too, since access tokens are written there."""
    user, _, password = info.partition(":")
    if password:
        yield password
    if web and user:
        yield user
