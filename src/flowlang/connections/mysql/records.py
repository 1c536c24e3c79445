"""Many records at once, in as few packets as the server takes.

MariaDB binds the rows of a whole batch to one prepared statement (COM_STMT_BULK_EXECUTE), which is twice as fast as
an INSERT with many VALUES and needs no literals. It wants one type a column, so what mixes types goes as text, as
all does on MySQL. See `docs/design/019-many-rows-to-mysql.md`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain, pairwise
from operator import is_not
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql.records import Insert, Records, Update
from flowlang.connections._sql.text import quote_column, quote_name
from flowlang.connections.mysql.errors import number_of
from flowlang.connections.mysql.values import column_binary, column_literals
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.table import part

if TYPE_CHECKING:
    from flowlang.connections.mysql.handle import Handle

Rows = Sequence[Sequence[Any]]

_AT_ONCE = 5000  # records in one bulk statement at least: more gain nothing, fewer cost a tenth
_DUPLICATE_KEY = 1062
_DUPLICATES = re.compile(rb"Duplicates: (\d+)")
_BYTES_OF_A_CHARACTER = 4
_BYTES_OF_A_HEAD = 1024  # of a packet, with the types of its columns
_BYTES_OF_A_NUMBER = 32  # more than any value that is neither text nor bytes takes


async def insert(handle: Handle, job: Insert, records: Records, first: int) -> int:
    """Insert records, batch by batch. Returns the rows inserted or updated."""
    names = ", ".join(quote_column(each, job.dialect) for each in job.columns)
    head = f"INSERT INTO {quote_name(job.table, job.dialect)} ({names}) VALUES "  # noqa: S608 - names are quoted
    conflict, written = _conflict_clause(job), _inserted if job.on_conflict == "ignore" else _affected
    marks = ", ".join("?" * len(job.columns))

    async def by_text(rows: Rows, number: int) -> int:
        lines = _lines(handle, rows, job.columns, number, "(", ")")
        return await _in_packets(handle, head, lines, ", ", conflict, written)

    bulk = _Bulk(handle, f"{head}({marks}){conflict}", job.columns, written)
    count = await _in_batches(job, records, first, bulk, by_text)
    return len(records) if job.on_conflict == "update" else count


def _conflict_clause(job: Insert) -> str:
    if job.on_conflict == "error":
        return ""
    if job.on_conflict == "ignore":  # INSERT IGNORE would pass over every other fault, too
        same = quote_column((job.key_fields or job.columns)[0], job.dialect)
        return f" ON DUPLICATE KEY UPDATE {same} = {same}"
    changed = [column for column in job.columns if column not in job.key_fields] or list(job.key_fields)
    quoted = (quote_column(column, job.dialect) for column in changed)
    return f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = VALUES({name})' for name in quoted)}"


def _affected(result: Any) -> int:
    return int(result.affected_rows)


def _inserted(result: Any) -> int:
    """Without the rows that were there: "Records: 3  Duplicates: 2  Warnings: 0", said of more than one row."""
    duplicates = _DUPLICATES.search(result.message or b"")
    return int(result.affected_rows) - (int(duplicates[1]) if duplicates else 0)


async def _alone(handle: Handle, data: bytes) -> int:
    """Insert one row unless it is there. Of a single row the server does not say whether it was."""
    try:
        return await handle.send_all(data, _affected)
    except FlowExecutionError as error:
        if error.__cause__ is None or number_of(error.__cause__) != _DUPLICATE_KEY:
            raise
        return 0


async def update(handle: Handle, job: Update, records: Records, first: int) -> int:
    """Update records, batch by batch. Returns the rows whose key was found."""
    columns = (*job.columns, job.key_field)

    async def by_text(rows: Rows, number: int) -> int:
        async with handle.session.several_statements():
            lines = _lines(handle, rows, columns, number, *_around(job))
            return await _in_packets(handle, "", lines, "; ", "", _affected)

    bulk = _Bulk(handle, job.statement(lambda _: "?"), columns, _affected)
    return await _in_batches(job, records, first, bulk, by_text)


def _around(job: Update) -> tuple[str, ...]:
    """The pieces of an UPDATE between which its values stand."""
    return (*job.statement(lambda _: "\0").split("\0"),)


async def _in_batches(
    job: Insert | Update, records: Records, first: int, bulk: _Bulk, by_text: Callable[[Rows, int], Awaitable[int]]
) -> int:
    """Send records batch by batch, in bulk where that goes. While the server works on one, the next is made ready."""
    count, under_way = 0, None
    size = max(job.batch_size, _AT_ONCE) if bulk.possible else job.batch_size
    async with bulk:
        try:
            for start in range(0, len(records), size):
                rows = job.tuples(part(records, start, start + size), first + start)
                ready = bulk.ready(rows, first + start)
                if under_way is not None:
                    sent, under_way = under_way, None
                    count += await sent
                if ready is None:
                    count += await by_text(rows, first + start)
                else:
                    under_way = asyncio.ensure_future(bulk.send(ready, first + start))
                    await asyncio.sleep(0)  # it begins
        except asyncio.CancelledError:
            if under_way is not None:
                under_way.cancel()
                await asyncio.wait([under_way])
            raise
        except Exception:
            if under_way is not None:
                await under_way  # what went wrong before is told first
            raise
        return count + (await under_way if under_way is not None else 0)


class _Bulk:
    """One statement that takes many rows, prepared when it is first used and freed at the end."""

    def __init__(self, handle: Handle, text: str, names: Sequence[str], count: Callable[[Any], int]) -> None:
        self._handle = handle
        self._names = names
        self._count = count
        self._text = text
        self._statement: Any = None

    async def __aenter__(self) -> _Bulk:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._statement is not None:
            await self._handle.session.forget(self._statement)

    @property
    def possible(self) -> bool:
        return self._handle.session.takes_bulk

    def ready(self, rows: Rows, first: int) -> list[Rows] | None:
        """The rows as they are sent, in as many parts as packets are needed; None when these rows, or this server, do
        not go this way."""
        if not self.possible or len(rows) == 1:
            return None
        width, flat = len(self._names), list(chain.from_iterable(rows))
        given = [flat[place::width] for place in range(width)]  # half the time of zip(*rows)
        columns = [column_binary(column, name, first) for column, name in zip(given, self._names)]
        if None in columns:
            return None
        if any(map(is_not, columns, given)):
            rows = list(zip(*columns))
        room = self._handle.session.max_packet - _BYTES_OF_A_HEAD
        return _parts(rows, room // sum(_longest(column or ()) for column in columns))

    async def send(self, parts: list[Rows], first: int) -> int:
        """How many rows they changed or found."""
        count = 0
        for rows in parts:
            count += await self._execute(rows, first)
            first += len(rows)
        return count

    async def _execute(self, rows: Rows, first: int) -> int:
        self._handle.still_there()
        try:
            async with self._handle.told():
                if self._statement is None:
                    self._statement = await self._handle.session.prepare(self._text)
                return self._count(await self._statement.execute_bulk(rows))
        except FlowExecutionError as error:
            if isinstance(error.__cause__, UnicodeEncodeError):
                raise _half_a_character(rows, self._names, first) from error
            raise


def _parts(rows: Rows, at_most: int) -> list[Rows] | None:
    """The rows in parts of nearly the same size, none of a single row: what becomes of one the server does not say."""
    if at_most < 3:
        return [rows] if len(rows) <= at_most else None
    number = -(-len(rows) // at_most)
    edges = [len(rows) * place // number for place in range(number + 1)]
    return [rows[start:end] for start, end in pairwise(edges)] if number > 1 else [rows]


def _longest(column: Sequence[Any]) -> int:
    """No fewer bytes than a value of the column takes in a packet."""
    if not isinstance(next((value for value in column if value is not None), None), (str, bytes)):
        return _BYTES_OF_A_NUMBER  # they are all of one type
    return _BYTES_OF_A_NUMBER + _BYTES_OF_A_CHARACTER * max(map(len, filter(None, column)), default=0)


def _half_a_character(rows: Rows, names: Sequence[str], first: int) -> FlowExecutionError:
    for number, row in enumerate(rows, first):
        for name, value in zip(names, row):
            try:
                if isinstance(value, str):
                    value.encode()
            except UnicodeEncodeError:
                text = f"`{name}` of record {number}: no valid Unicode text: it holds half a character"
                return FlowExecutionError(text, error_class="validation")
    return FlowExecutionError("a text has no place in the connection's charset", error_class="validation")


def _lines(handle: Handle, rows: Rows, names: Sequence[str], first: int, *around: str) -> Iterator[bytes]:
    """Each row as SQL. `around`: the texts before, between and after its values; two when a comma is between."""
    columns = [column_literals(column, name, first) for column, name in zip(zip(*rows), names)]
    if len(around) == 2 and len(names) != 1:
        around = (around[0], *[", "] * (len(names) - 1), around[1])
    pattern = "%s".join(piece.replace("%", "%%") for piece in around)
    return (handle.encoded(pattern % tuple(line)) for line in zip(*columns))


async def _in_packets(
    handle: Handle, head: str, lines: Iterator[bytes], between: str, tail: str, written: Callable[[Any], int]
) -> int:
    """Send `lines` in as few statements as the server takes. Returns the rows they changed or found."""

    async def send(some: list[bytes]) -> int:
        if written is _inserted and len(some) == 1:
            return await _alone(handle, begin + some[0])
        return await handle.send_all(begin + glue.join(some) + end, written)

    waiting: list[bytes]
    begin, glue, end = handle.encoded(head), handle.encoded(between), handle.encoded(tail)
    room = handle.session.max_packet - len(begin) - len(end) - 1
    count, waiting, size = 0, [], 0
    for line in lines:
        if waiting and size + len(line) > room:
            count += await send(waiting)
            waiting, size = [], 0
        waiting.append(line)
        size += len(line) + len(glue)
    return count + await send(waiting)
