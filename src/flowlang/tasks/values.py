"""Values with a meaning of their own: SQL text with its bound values, queries and the data in them, identifiers,
secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeVar

from flowlang.expressions.runtime import Ident
from flowlang.expressions.runtime import text as as_text

T = TypeVar("T")


class SecretMark:
    """The mark inside `Secret[T]`."""


Secret = Annotated[T, SecretMark()]
"""`Secret[str]` on a parameter: the value is masked in every event, error and log."""


class KeptMark:
    """The mark inside `Kept[T]`."""


Kept = Annotated[T, KeptMark()]
"""`Kept[Any]` on a parameter: any value but a stream, because the task needs it whole."""


class UrlPathMark:
    """The mark inside `UrlPath`."""


UrlPath = Annotated[str, UrlPathMark()]
"""On a parameter: the path of a URL. Each expression inside the text is one segment, or a part of one: what would end
the segment, or the path, is percent-encoded. A path that is one expression and nothing else is taken as it is."""


class QueryMark:
    """The mark inside `Query[T]`."""


Query = Annotated[T, QueryMark()]
"""`Query[dict[str, Any]]` on a parameter: what the flow writes there is a query, whose keys may be operators of the
service. What expressions give there is not: it arrives as `Data`, at any depth, or as a value that has no keys and is
no text."""


class Data:
    """A text, list or object that an expression gave inside a query: a value, whatever it looks like."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Data({self.value!r})"


_INERT = frozenset({type(None), bool, int, float})


def as_data(value: object) -> object:
    """The value of an expression inside a query, marked unless nothing in it could be taken for an operator."""
    return value if type(value) in _INERT else Data(value)


def without_marks(value: object) -> object:
    """A query as it reads: with its data in place."""
    if isinstance(value, Data):
        return value.value
    if isinstance(value, dict):
        return {key: without_marks(each) for key, each in value.items()}
    return [without_marks(each) for each in value] if isinstance(value, list) else value


class Sql:
    """A SQL text whose expressions are values, never text.

    `texts` has one more part than `values`: the statement is `texts[0] value texts[1] value … texts[n]`.
    An `Ident` among the values is a quoted name, a list expands to its items; everything else is bound.
    """

    __slots__ = ("texts", "values")

    def __init__(self, texts: tuple[str, ...], values: tuple[object, ...] = ()) -> None:
        if len(texts) != len(values) + 1:
            raise ValueError("a Sql needs exactly one text more than values")
        self.texts = tuple(texts)
        self.values = tuple(values)

    @classmethod
    def of(cls, text: str | Sql) -> Sql:
        return text if isinstance(text, Sql) else cls((text,))

    def __iter__(self) -> Iterator[tuple[str, object]]:
        """The pairs of a text and the value that follows it (the last text has none)."""
        return zip(self.texts, self.values)

    def __repr__(self) -> str:
        return f"Sql({'⟨…⟩'.join(self.texts)!r})"


def url_path(texts: tuple[str, ...], values: tuple[object, ...]) -> str:
    """The path of a URL from the texts of a flow and the values between them. For a value that is null or empty, so
    that the path would name something else, it holds a NUL, which no path may hold."""
    from urllib.parse import quote

    parts = [texts[0]]
    for value, text in zip(values, texts[1:]):
        written = "" if value is None else as_text(value)
        parts += (quote(written, safe="", errors="surrogatepass") or "\0", text)
    return "".join(parts)


__all__ = [
    "Data",
    "Ident",
    "Kept",
    "KeptMark",
    "Query",
    "QueryMark",
    "Secret",
    "SecretMark",
    "Sql",
    "UrlPath",
    "UrlPathMark",
    "as_data",
    "url_path",
    "without_marks",
]
