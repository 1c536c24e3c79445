"""Many records at once: COPY where nothing can conflict, else one statement for a batch.

| records | way |
|---|---|
| `on_conflict: error`, more than a few, an ordinary table | COPY, of at most 100,000 records at a time |
| all others, and updates | one statement a batch, its records in one array for each column (`unnest`) |
| with a column that is an array itself | the same with a list of `VALUES` |

Of records with the same key in one batch the last one counts, as if they had been written one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql.dialect import POSTGRES
from flowlang.connections._sql.records import Insert, Records, Update, kinds_of
from flowlang.connections._sql.text import quote_column, quote_name
from flowlang.connections.postgres.statement import affected
from flowlang.connections.postgres.values import Encoder, converted, encoder, refused
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.table import Kinds, part

if TYPE_CHECKING:
    from flowlang.connections.postgres.handle import Handle

_FEW = 50  # records for which COPY's extra round trips do not pay
_COPIED = 100_000  # records in one COPY: the event loop gets its turn in between, however fast the server is
_CONVERTED = 2_000  # records made ready at a time: few enough to be in the processor's cache still when they are sent
_MOST_VALUES = 32_767  # of one statement, by the protocol
# Whether COPY does what INSERT would: not for views, foreign tables and tables with row policies, and it would write
# columns that are GENERATED ALWAYS AS IDENTITY. And whether nothing of anybody's runs meanwhile that could leave a mark
# on the session: triggers, checks, defaults, expressions of indexes, types that are not the server's own.
_COPYABLE = """
SELECT relkind IN ('r', 'p') AND NOT row_security_active(c.oid)
    AND NOT bool_or(attidentity = 'a' AND attname = ANY($2::text[])) AS plain,
  relkind = 'r' AND NOT relispartition AND NOT relhastriggers AND relchecks = 0
    AND NOT bool_or(atthasdef OR attidentity <> '' OR atttypid >= 16384) AND NOT EXISTS (
      SELECT FROM pg_index WHERE indrelid = c.oid AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
    ) AS clean
FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE c.oid = to_regclass($1) GROUP BY c.oid
"""  # `text[]` is known to the driver; of other arrays it asks the server first, which takes longer than all the rest


class Columns:
    """The columns of a table that records have, with their types as the server tells them."""

    def __init__(self, names: Sequence[str], types: Sequence[Any]) -> None:
        self.names = names
        self.types = types
        self.encoders: list[Encoder] = [encoder(each) for each in types]
        self._natives = tuple(each.native for each in self.encoders)

    @property
    def binary(self) -> bool:
        """Whether COPY can send all of them in its binary form."""
        return all(each.binary for each in self.encoders)

    @classmethod
    async def of(cls, handle: Handle, table: str, names: Sequence[str]) -> Columns:
        quoted = ", ".join(quote_column(each, POSTGRES) for each in names)
        text = f"SELECT {quoted} FROM {quote_name(table, POSTGRES)} LIMIT 0"  # noqa: S608 - names are quoted
        return cls(names, [each.type for each in await handle.described(text)])

    def values(self, rows: Sequence[Sequence[Any]], first: int) -> list[Sequence[Any]]:
        """The columns of `rows`, each value as its type takes it; `first` is the number of the first record."""
        columns: list[Sequence[Any]] = list(zip(*rows))
        for place, into in enumerate(self.encoders):
            if set(map(type, columns[place])) - {into.native, type(None)}:
                columns[place] = converted(columns[place], into, self.names[place], first)
        return columns

    def fitting(self, rows: Sequence[Sequence[Any]], first: int, vouched: Kinds) -> Iterable[Sequence[Any]]:
        """The same row by row: `rows` themselves where every value is of a class that the driver takes as it is.
        `vouched`: the kinds of a `Table`, which are not looked at again."""
        natives = self._natives
        if vouched == natives:
            return rows
        looked = tuple(None if kind is native else native for kind, native in zip(vouched, natives)) or natives
        return zip(*self.values(rows, first)) if _misfits(looked)(rows) else rows

    def arguments(self, rows: Sequence[Sequence[Any]], first: int) -> tuple[str, list[Any]]:
        """The records as a relation `v` with the columns c0, c1, … and `nth`, and the values of its placeholders."""
        names = ", ".join(f"c{place}" for place in range(len(self.names)))
        columns = self.values(rows, first)
        if not any(each.kind == "array" for each in self.types):
            marks = ", ".join(f"${place}::{type_text(each)}[]" for place, each in enumerate(self.types, 1))
            return f"unnest({marks}) WITH ORDINALITY AS v({names}, nth)", columns
        width = len(self.names)
        lines = [
            ", ".join(f"${nth * width + place}::{type_text(each)}" for place, each in enumerate(self.types, 1))
            for nth in range(len(rows))
        ]
        values = ", ".join(f"({line}, {nth})" for nth, line in enumerate(lines))
        return f"(VALUES {values}) AS v({names}, nth)", list(chain.from_iterable(zip(*columns)))

    def at_once(self, batch_size: int) -> int:
        """How many records one statement can take."""
        arrays = any(each.kind == "array" for each in self.types)
        return min(batch_size, _MOST_VALUES // len(self.names)) if arrays else batch_size


@lru_cache(maxsize=256)
def _misfits(natives: tuple[type | None, ...]) -> Callable[[Iterable[Sequence[Any]]], list[None]]:
    """What finds the rows with a value that is neither null nor of its column's class, None for any class.

    Written out for these columns: a row taken apart and compared by bytecode takes two thirds of the time of a set of
    the classes that `map` finds, and this is done for every value of a million rows."""
    values = [f"v{place}" for place in range(len(natives))]
    looked = [place for place, native in enumerate(natives) if native is not None]
    tests = " or ".join(f"type(v{place}) is not k{place} and v{place} is not None" for place in looked) or "False"
    kinds = ", ".join(f"k{place}" for place in range(len(natives)))
    text = f"lambda {kinds}: lambda rows: [None for [{', '.join(values)}] in rows if {tests}]"
    made: Callable[..., Any] = eval(text, {"__builtins__": {}, "type": type})  # noqa: S307 - of identifiers alone
    found: Callable[[Iterable[Sequence[Any]]], list[None]] = made(*natives)
    return found


def type_text(type_: Any) -> str:
    """A type in a statement. Quoted: the bare words `bit` and `char` would mean a length of one."""
    name, array = (type_.name[:-2], "[]") if type_.kind == "array" else (type_.name, "")
    return f"{quote_column(type_.schema, POSTGRES)}.{quote_column(name, POSTGRES)}{array}"


# ---------------------------------------------------------------- insert


def one_copy(plan: Insert, count: int) -> bool:
    """Whether so many records go in one COPY where the table allows it, and else in a transaction of their own."""
    return plan.on_conflict == "error" and _FEW < count <= _COPIED


async def insert(handle: Handle, plan: Insert, records: Records, first: int) -> int:
    """Insert records inside the open transaction, if there is one. Returns the rows inserted or updated."""
    columns = await Columns.of(handle, plan.table, plan.columns)
    if plan.on_conflict == "error" and len(records) > _FEW and columns.binary:
        rows = await handle.fetch(_COPYABLE, [quote_name(plan.table, POSTGRES), list(plan.columns)], None)
        if rows and rows[0]["plain"]:
            return await _copy(handle, plan, columns, records, first, clean=rows[0]["clean"])
    if handle.alone(plan, len(records)):
        async with handle.together():
            return await _insert(handle, plan, columns, records, first)
    return await _insert(handle, plan, columns, records, first)


async def copy(handle: Handle, plan: Insert, records: Records, first: int) -> int:
    """COPY records inside the open transaction, however few; by INSERT where COPY's binary form lacks a type."""
    columns = await Columns.of(handle, plan.table, plan.columns)
    way = _copy if columns.binary else _insert
    return await way(handle, plan, columns, records, first)


async def _insert(handle: Handle, plan: Insert, columns: Columns, records: Records, first: int) -> int:
    count, size = 0, columns.at_once(plan.batch_size)
    for start in range(0, len(records), size):
        rows = plan.tuples(part(records, start, start + size), first + start)
        source, values = columns.arguments(rows, first + start)
        result = await handle.run(_inserting(plan, source), values, ready=True)
        count += result["rows_affected"] if plan.on_conflict != "update" else len(rows)
    return count


def _inserting(plan: Insert, source: str) -> str:
    names = ", ".join(quote_column(each, POSTGRES) for each in plan.columns)
    chosen = ", ".join(f"c{place}" for place in range(len(plan.columns)))
    table = quote_name(plan.table, POSTGRES)
    if plan.on_conflict == "update":  # of one key the last: the server refuses to update a row twice
        keys = ", ".join(f"c{plan.columns.index(each)}" for each in plan.key_fields)
        source = f"(SELECT DISTINCT ON ({keys}) * FROM {source} ORDER BY {keys}, nth DESC) AS v"  # noqa: S608
    return f"INSERT INTO {table} ({names}) SELECT {chosen} FROM {source} ORDER BY nth{plan.conflict_clause()}"  # noqa: S608


async def _copy(
    handle: Handle, plan: Insert, columns: Columns, records: Records, first: int, *, clean: bool = False
) -> int:
    count = 0
    for start in range(0, len(records), _COPIED):
        some = part(records, start, start + _COPIED) if len(records) > _COPIED else records
        count += await _copied(handle, plan, columns, some, first + start, clean=clean)
    return count


async def _copied(handle: Handle, plan: Insert, columns: Columns, records: Records, first: int, *, clean: bool) -> int:
    """One COPY. The server works on some records while the next are made ready."""
    *schema, table = plan.table.split(".")
    vouched = kinds_of(records, plan.columns)
    rows: Sequence[Sequence[Any]] = ()
    number = first

    def ready() -> Iterator[Iterable[Sequence[Any]]]:
        nonlocal rows, number
        for start in range(0, len(records), _CONVERTED):
            number = first + start
            rows = plan.tuples(part(records, start, start + _CONVERTED), number)
            yield columns.fitting(rows, number, vouched)

    try:
        sent = chain.from_iterable(ready())
        status = await handle.copy_records(table, schema[0] if schema else None, columns.names, sent, clean=clean)
    except FlowExecutionError as error:
        if error.error_class == "validation" and error.__cause__ is not None and not hasattr(error.__cause__, "detail"):
            _find(columns, rows, number)
        raise
    return affected(status)


def _find(columns: Columns, rows: Sequence[Sequence[Any]], first: int) -> None:
    """Look at every value of records that the driver refused, and raise for the first that does not fit."""
    for number, row in enumerate(rows, first):
        for name, into, value in zip(columns.names, columns.encoders, row):
            try:
                if value is not None:
                    sent = into.convert(value)
                    if isinstance(sent, str):
                        sent.encode()
            except ValueError as error:
                raise refused(f"`{name}` of record {number}", error) from error


# ---------------------------------------------------------------- update


async def update(handle: Handle, plan: Update, records: Records, first: int) -> int:
    """Update records inside the open transaction. Returns the rows whose key was found."""
    names = (*plan.columns, plan.key_field)
    columns = await Columns.of(handle, plan.table, names)
    count, size = 0, columns.at_once(plan.batch_size)
    for start in range(0, len(records), size):
        rows = plan.tuples(part(records, start, start + size), first + start)
        source, values = columns.arguments(rows, first + start)
        count += (await handle.run(_updating(plan, source), values, ready=True))["rows_affected"]
    return count


def _updating(plan: Update, source: str) -> str:
    table, key = quote_name(plan.table, POSTGRES), f"c{len(plan.columns)}"
    changes = ", ".join(f"{quote_column(each, POSTGRES)} = v.c{place}" for place, each in enumerate(plan.columns))
    last = f"(SELECT DISTINCT ON ({key}) * FROM {source} ORDER BY {key}, nth DESC) AS v"  # noqa: S608
    found = f"t.{quote_column(plan.key_field, POSTGRES)} = v.{key}"
    return f"UPDATE {table} AS t SET {changes} FROM {last} WHERE {found}"  # noqa: S608
