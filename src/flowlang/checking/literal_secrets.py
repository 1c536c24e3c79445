"""Secrets that are written out in a flow file: masked in the text that snippets are taken from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from flowlang.connections._schema import is_secret
from flowlang.connections._secrets import leaves, password_in
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.config import schema_of, secret_texts
from flowlang.diagnostics import Span
from flowlang.document import model
from flowlang.exceptions import PluginError

Path = tuple[str | int, ...]


def in_config(
    plugin: ConnectionPlugin | None,
    values: Mapping[str, object],
    spans: Mapping[Path, Span],
    computed: Collection[Path],
) -> Iterator[tuple[Span, str]]:
    """The secrets of a connection's config, each with the place of the value that holds it."""
    try:
        schema = schema_of(plugin) if plugin is not None else {}
    except PluginError:
        schema = {}
    secrets = secret_texts(schema, values)
    for path, value in leaves(values, ()):
        if path not in computed and path in spans:
            yield from ((spans[path], secret) for secret in secrets if secret in str(value))


Literals = Iterable[tuple[Span, str]]


class Sources(Mapping[str, str]):
    """The texts of the files that a check read, by name, for snippets: literal secrets are `*` in them and every other
    character is in its place. A text is masked when it is asked for, which for a flow without findings is never."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._literals: dict[str, Literals] = {}
        self._masked: dict[str, str] = {}

    def add(self, file: str, text: str) -> None:
        """A text. Until `mark` says more only the names of keys tell what is secret in it."""
        self._texts[file] = text

    def mark(self, file: str, literals: Literals) -> None:
        """Where secrets are written out in the text of `file`."""
        self._literals[file] = literals
        self._masked.pop(file, None)

    def __getitem__(self, file: str) -> str:
        if file not in self._masked:
            self._masked[file] = masked(self._texts[file], self._literals.get(file, ()))
        return self._masked[file]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def masked(text: str, literals: Literals) -> str:
    """`text` without the `literals`, nor the values of keys that are named like secrets."""
    lines = _ENTRY.sub(_hidden, text).split("\n")
    for span, secret in literals:
        for number in range(span.start.line - 1, min(span.end.line, len(lines))):
            for part in {secret, *secret.split("\n")} - {""}:
                lines[number] = _in_line(lines[number], part, span, number)
    return "\n".join(lines)


_ENTRY = re.compile(
    r"""([A-Za-z_][\w-]{0,60})(["']?[ \t]*:[ \t]+)"""
    r"""("(?:[^"\\\n]++|\\.)*+"|'(?:[^'\n]++|'')*+'|(?![\s"'|>&*!])(?:[^\n,{}\[\]#$]++|\$(?!\{))++(?!\$\{))"""
)


def _hidden(entry: re.Match[str]) -> str:
    """A key and its value on one line; the value masked when the key is that of a secret."""
    key, between, value = entry.groups()
    plain = value.strip("\"' \t")
    if "${" in value or plain in ("true", "false", "null", "") or not is_secret(key, {}):
        return entry[0]
    return key + between + value.replace(plain, "*" * len(plain))


def _in_line(line: str, secret: str, span: Span, number: int) -> str:
    start = span.start.column - 1 if number == span.start.line - 1 else 0
    stop = span.end.column - 1 if number == span.end.line - 1 else len(line)
    return line[:start] + line[start:stop].replace(secret, "*" * len(secret)) + line[stop:]


def in_value(value: model.Value) -> Iterator[tuple[Span, str]]:
    """The text of a value that is secret and written out."""
    if isinstance(value, model.Constant) and value.value is not None:
        yield value.span, str(value.value)


def in_inputs(flow: model.Flow) -> Iterator[tuple[Span, str]]:
    """The defaults of secret inputs, and in others the passwords of URLs. Their whole declaration is searched: a
    default has no place of its own."""
    for each in flow.inputs:
        for _, value in leaves(each.default, ()):
            text = str(value) if each.secret and value is not None else password_in(str(value))
            if text:
                yield each.span, text
