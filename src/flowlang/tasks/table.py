"""A table: rows as a database hands them over, the names of the columns once for all of them.

Tasks of SQL databases hand batches on as tables and take them, so that rows that only pass through a flow never become
objects. Whoever looks into a table sees objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

Kinds = tuple[type | None, ...]


class Table:
    """`rows` hold one value for each of `columns`, in that order. Iterating gives objects; neither list is changed.

    `kinds`: for each column the class that all its values have, null aside, where the source vouches for it, else None.
    Empty: it vouches for no column. Who takes the rows need not look at those values again.
    """

    __slots__ = ("columns", "kinds", "rows")

    def __init__(self, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], kinds: Kinds = ()) -> None:
        self.columns = columns
        self.rows = rows
        self.kinds = kinds

    def objects(self) -> list[dict[str, Any]]:
        """One object a row, its keys the names of the columns."""
        return labelled(self.columns, self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = self.columns
        return (dict(zip(columns, row)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<table, {len(self.rows)} rows of {', '.join(self.columns)}>"


def labelled(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """One object for each row, its keys the `columns`, of which each row has as many values."""
    return _labeller(len(columns))(*columns)(rows)


@lru_cache(maxsize=256)
def _labeller(width: int) -> Callable[..., Callable[[Iterable[Sequence[Any]]], list[dict[str, Any]]]]:
    """Written out for so many columns: a row that is unpacked into a display of an object takes half the time of
    `dict(zip(columns, row))`, and a driver hands over a hundred thousand of them at once."""
    names = [f"n{place}" for place in range(width)]
    values = [f"v{place}" for place in range(width)]
    pairs = ", ".join(map("{}: {}".format, names, values))
    text = f"lambda {', '.join(names)}: lambda rows: [{{{pairs}}} for [{', '.join(values)}] in rows]"
    made: Callable[..., Any] = eval(text, {"__builtins__": {}})  # noqa: S307 - of identifiers alone
    return made


def objects(batch: Any) -> Any:
    """A batch as a list, whatever form it has; anything else is what it is."""
    return batch.objects() if isinstance(batch, Table) else batch


def joined(batches: Sequence[list[Any] | Table]) -> list[Any] | Table:
    """Several batches as one: a table when all are tables of the same columns."""
    first = batches[0]
    if len(batches) == 1:
        return first
    if isinstance(first, Table):
        tables = [each for each in batches if isinstance(each, Table) and each.columns == first.columns]
        if len(tables) == len(batches):
            kinds = first.kinds if all(each.kinds == first.kinds for each in tables) else ()
            return Table(first.columns, list(chain.from_iterable(each.rows for each in tables)), kinds)
    return list(chain.from_iterable(map(objects, batches)))


def part(batch: list[Any] | Table, start: int, stop: int) -> list[Any] | Table:
    """Some rows of a batch, in the form it has."""
    if isinstance(batch, Table):
        return Table(batch.columns, batch.rows[start:stop], batch.kinds)
    return batch[start:stop]
