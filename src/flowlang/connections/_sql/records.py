"""Records on their way into a table: which statement takes them, and that they all have the same columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.text import quote_column, quote_name
from flowlang.exceptions import FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.table import Kinds, Table

Records = list[dict[str, Any]] | Table
"""Records on their way into a table of a database."""

OnConflict = Literal["error", "ignore", "update"]


@frozen
class Insert:
    """Records on their way into a table: the same columns for all of them."""

    dialect: Dialect
    table: str
    columns: tuple[str, ...]
    on_conflict: OnConflict
    key_fields: tuple[str, ...]
    batch_size: int

    def tuples(self, records: Records, first: int) -> Sequence[Sequence[Any]]:
        """The values of `records` in the order of `columns`; `first` is the number of the first of them."""
        return same_columns(records, self.columns, first)

    def statement(self, rows: int, mark: Callable[[int], str] | None = None) -> str:
        """The INSERT for so many rows at once. `mark(n)` writes the n-th placeholder, by default the dialect's."""
        width = len(self.columns)
        if mark is None:
            values = ", ".join([f"({', '.join([self.dialect.mark] * width)})"] * rows)
        else:
            lines = (", ".join(mark(row * width + column) for column in range(width)) for row in range(rows))
            values = ", ".join(f"({line})" for line in lines)
        names = ", ".join(quote_column(column, self.dialect) for column in self.columns)
        table = quote_name(self.table, self.dialect)
        return f"INSERT INTO {table} ({names}) VALUES {values}{self.conflict_clause()}"  # noqa: S608 - names are quoted

    def conflict_clause(self) -> str:
        """The clause of standard upserts (PostgreSQL, SQLite), empty for `on_conflict: error`."""
        if self.on_conflict == "error":
            return ""
        keys = ", ".join(quote_column(key, self.dialect) for key in self.key_fields)
        target = f" ON CONFLICT ({keys})" if keys else " ON CONFLICT"
        if self.on_conflict == "ignore":
            return f"{target} DO NOTHING"
        changed = [column for column in self.columns if column not in self.key_fields] or list(self.key_fields)
        quoted = (quote_column(column, self.dialect) for column in changed)
        return f"{target} DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in quoted)}"


@frozen
class Update:
    """Records that change rows found by a key. The key's value comes last in each tuple."""

    dialect: Dialect
    table: str
    columns: tuple[str, ...]
    key_field: str
    batch_size: int

    def tuples(self, records: Records, first: int) -> Sequence[Sequence[Any]]:
        """The values of `records` as the statement takes them: the changed columns, then the key."""
        rows = same_columns(records, (*self.columns, self.key_field), first)
        if any(row[-1] is None for row in rows):
            number = first + next(index for index, row in enumerate(rows) if row[-1] is None)
            raise invalid(f"record {number} has no key: `{self.key_field}` is null and would match no row")
        return rows

    def statement(self, mark: Callable[[int], str] | None = None) -> str:
        """The UPDATE of one row."""
        marked = mark or (lambda _: self.dialect.mark)
        columns = [quote_column(column, self.dialect) for column in self.columns]
        assignments = ", ".join(f"{column} = {marked(index)}" for index, column in enumerate(columns))
        key = f"{quote_column(self.key_field, self.dialect)} = {marked(len(columns))}"
        table = quote_name(self.table, self.dialect)
        return f"UPDATE {table} SET {assignments} WHERE {key}"  # noqa: S608 - names are quoted


def same_columns(records: Records, columns: tuple[str, ...], first: int) -> Sequence[Sequence[Any]]:
    """The values of `columns` of each record. Records with other keys are refused, naming record and key.

    All loops run in C: this is done for every record of every batch.
    """
    if isinstance(records, Table):
        if records.columns == columns:
            return records.rows
        if set(records.columns) != set(columns):
            raise _other_keys(records, columns, first)
        places = itemgetter(*map(records.columns.index, columns))
        return list(map(places, records.rows))
    pick: Callable[[Any], Any] = itemgetter(*columns)
    try:
        rows = list(map(pick, records)) if len(columns) > 1 else list(zip(map(pick, records)))
        if set(map(len, records)) == {len(columns)}:
            return rows
    except (KeyError, TypeError, IndexError):
        pass  # what exactly is wrong is said below
    raise _other_keys(records, columns, first)


def kinds_of(records: Records, columns: tuple[str, ...]) -> Kinds:
    """What the source of `records`, which have these columns, vouches for; in the order of `columns`."""
    if not isinstance(records, Table) or records.columns == columns or not records.kinds:
        return records.kinds if isinstance(records, Table) else ()
    return tuple(records.kinds[records.columns.index(each)] for each in columns)


def _other_keys(records: Iterable[Any], columns: tuple[str, ...], first: int) -> FlowExecutionError:
    expected = set(columns)
    for number, record in enumerate(records, first):
        if not isinstance(record, Mapping):
            return invalid(f"record {number} is {type(record).__name__}, not an object")
        missing = [column for column in columns if column not in record]
        if missing:
            return invalid(f"record {number} has no `{missing[0]}`, which the first record has: all need the same keys")
        more = [key for key in record if key not in expected]
        if more:
            return invalid(f"record {number} has `{more[0]}`, which the first record has not: all need the same keys")
    return invalid("the records do not all have the same keys")


def invalid(message: str) -> FlowExecutionError:
    """What the flow asks for cannot be done; trying again changes nothing."""
    return FlowExecutionError(message, error_class="validation")


def columns_of(records: Records) -> tuple[str, ...]:
    """The columns that a batch of records names: those of its first, which all others have to have."""
    if isinstance(records, Table):
        return records.columns
    record: Any = records[0]
    if not isinstance(record, Mapping):
        raise invalid(f"record 1 is {type(record).__name__}, not an object")
    if not record:
        raise invalid("record 1 is empty: its keys say which columns are written")
    for key in record:
        if not isinstance(key, str):
            raise invalid(f"record 1 has the key {key!r}: column names are text")
    return tuple(record)


def check_conflict(on_conflict: str, key_fields: list[str] | None) -> None:
    if on_conflict not in ("error", "ignore", "update"):
        raise invalid(f"`on_conflict` is {on_conflict!r}; it may be `error`, `ignore` or `update`")
    if on_conflict == "update" and not key_fields:
        raise invalid("`on_conflict: update` needs `key_fields`: the columns that say which row exists already")


def check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise invalid(f"`batch_size` is {batch_size}: it must be 1 or more")


def listed(columns: Sequence[str]) -> str:
    return "they have " + ", ".join(f"`{column}`" for column in columns)
