"""COPY between a table and a file: the file's bytes go to the server and back as they are, and the server reads them.

COPY takes no bound values. Those of a query to be copied are bound to settings of the transaction instead
(`set_config`), from which the query reads them: no value becomes SQL text.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from typing import IO, Any, Literal

from flowlang.connections._sql.dialect import POSTGRES
from flowlang.connections._sql.records import invalid
from flowlang.connections._sql.text import quote_column, quote_name
from flowlang.connections._sql.tokens import tokens
from flowlang.connections.postgres.handle import Handle
from flowlang.connections.postgres.many import type_text
from flowlang.connections.postgres.statement import affected
from flowlang.exceptions import FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.places import Replacement, explained, in_thread, located, open_to_read

Format = Literal["csv", "text", "binary"]

_BLOCK = 1024 * 1024  # bytes read or written in one go
_UNTIMED = 86_400.0 * 365  # for asyncpg, whose limit would count for the whole COPY


@frozen
class Form:
    """How a file of rows is written. `header`: its first line names the columns."""

    format: Format
    header: bool
    delimiter: str | None
    null: str | None
    encoding: str

    def options(self) -> dict[str, Any]:
        """The options of COPY, as asyncpg takes them."""
        found: dict[str, Any] = {"format": self.format, "delimiter": self.delimiter, "null": self.null}
        if self.header:
            found["header"] = True
        if self.format != "binary":
            found["encoding"] = self.encoding
        return found

    def names(self, start: bytes, file: str) -> list[str] | None:
        """The columns that the first line names; `start` is the first block of `file`, which has to hold it."""
        import csv
        import io

        text = codecs.getincrementaldecoder(self.encoding)().decode(start)
        if self.format == "text":
            return text.split("\n", 1)[0].rstrip("\r").split(self.delimiter or "\t") if text else None
        try:
            return next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter or ","), None)
        except csv.Error as error:
            raise invalid(f"{file!r} begins with no header line that can be read: {error}") from error


def form_of(format_: Format, header: bool | None, delimiter: str | None, null: str | None, encoding: str) -> Form:
    """The form that the parameters of a task mean. Raises FlowExecutionError (`validation`) for one there is not."""
    if format_ not in ("csv", "text", "binary"):
        raise invalid(f"`format` is {format_!r}; it may be `csv`, `text` or `binary`")
    given = {"header": header or None, "delimiter": delimiter, "null": null}
    for name, value in given.items():
        if format_ == "binary" and value is not None:
            raise invalid(f"`{name}` has no meaning in the `binary` format: leave it out")
    if delimiter is not None and len(delimiter.encode(errors="replace")) != 1:
        raise invalid(f"`delimiter` is {delimiter!r}: it must be one character of ASCII")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise invalid(f"`encoding` is {encoding!r}, which is none that is known here: write `utf-8`, say") from None
    return Form(format_, header if header is not None else format_ == "csv", delimiter, null, encoding)


def check_names(table: str, columns: Sequence[str] | None) -> None:
    """Raises FlowExecutionError (`validation`) for names that no table and no column can have."""
    quote_name(table, POSTGRES)
    if columns is not None and not columns:
        raise invalid("`columns` is empty: leave it out for all of them")
    for each in columns or ():
        quote_column(each, POSTGRES)


# ---------------------------------------------------------------- from a file


async def from_file(handle: Handle, table: str, file: str, columns: Sequence[str] | None, form: Form) -> int:
    """COPY a file into a table. Returns the rows written."""
    *schema, name = table.split(".")
    async with _opened(file) as opened, _progressing(handle) as moved, aclosing(_blocks(file, opened, moved)) as blocks:
        start = await anext(blocks, b"")
        if form.format != "binary" and codecs.lookup(form.encoding).name == "utf-8":
            start = start.removeprefix(codecs.BOM_UTF8)
        if columns is None and form.header:
            with explained(file):
                columns = form.names(start, file)
        with _placed(handle):
            status = await handle.marked().copy_to_table(
                name,
                schema_name=schema[0] if schema else None,
                columns=columns,
                source=_chained(start, blocks),
                timeout=_UNTIMED,
                **form.options(),
            )
    return affected(status)


@asynccontextmanager
async def _opened(file: str) -> AsyncIterator[IO[bytes]]:
    def begin() -> IO[bytes]:
        with explained(file):
            return open_to_read(located(file))

    opened = await in_thread(begin)
    try:
        yield opened
    finally:
        opened.close()


async def _blocks(file: str, opened: IO[bytes], moved: Callable[[], None]) -> AsyncGenerator[bytes, None]:
    def read() -> bytes:
        with explained(file):
            return opened.read(_BLOCK)

    while block := await in_thread(read):
        moved()
        yield block


async def _chained(start: bytes, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if start:
        yield start
    async for block in blocks:
        yield block


# ---------------------------------------------------------------- into a file


async def to_file(
    handle: Handle,
    transaction: AbstractAsyncContextManager[None],
    text: str,
    values: list[Any],
    file: str,
    form: Form,
) -> tuple[int, int]:
    """COPY the rows of a query into a file, which appears whole or not at all. Returns the rows and the bytes."""

    def begin() -> Replacement:
        with explained(file):
            return Replacement(located(file))

    replacement = await in_thread(begin)

    def keep() -> None:
        with explained(file):
            replacement.keep()

    try:
        async with transaction:
            query = await _bound(handle, text, values)
            status, size = await _written(handle, query, file, replacement, form)
        await in_thread(keep)
    except BaseException:
        replacement.drop()
        raise
    return affected(status), size


async def _written(handle: Handle, query: str, file: str, into: Replacement, form: Form) -> tuple[str, int]:
    size, held = 0, bytearray()

    def write(data: bytes) -> None:
        with explained(file):
            into.file.write(data)

    async with _progressing(handle) as moved:

        async def take(data: bytes) -> None:
            nonlocal size
            moved()
            size += len(data)
            held.extend(data)
            if len(held) >= _BLOCK:
                await in_thread(write, bytes(held))
                held.clear()

        with _placed(handle):
            status = await handle.marked().copy_from_query(query, output=take, timeout=_UNTIMED, **form.options())
        await in_thread(write, bytes(held))
    return str(status), size


def whole(table: str, columns: Sequence[str] | None) -> str:
    """The query for a table: COPY itself takes no views and no partitioned tables."""
    names = ", ".join(quote_column(each, POSTGRES) for each in columns) if columns else "*"
    return f"SELECT {names} FROM {quote_name(table, POSTGRES)}"  # noqa: S608 - names are quoted


async def _bound(handle: Handle, text: str, values: list[Any]) -> str:
    """A query as COPY takes it. It is prepared first: what the server takes for one statement stays one in brackets."""
    with handle.told():
        statement = await handle.prepared(text)
        sent = statement.values(values)
        types = [type_text(each) for each in statement.types]
        settings = (f"set_config('flowlang.v{n}', ${n}::{type_}::text, true)" for n, type_ in enumerate(types, 1))
        if types:
            await handle.marked().execute(f"SELECT {', '.join(settings)}", *sent)
    return f"\n{_reading(text, sent, types)}\n"


def _reading(text: str, values: Sequence[Any], types: Sequence[str]) -> str:
    """The statement with a look into a setting in place of each placeholder, and without a closing semicolon."""
    pieces, end = [], 0
    found = list(tokens(text, POSTGRES))
    while found and (found[-1][0] == "comment" or found[-1][1] == ";"):
        found.pop()
    for kind, word, behind in found:
        if kind == "mark":
            place = int(word[1:]) - 1
            read = "NULL" if values[place] is None else f"current_setting('flowlang.v{place + 1}')"
            pieces += [text[end : behind - len(word)], f"({read}::{types[place]})"]
            end = behind
    return "".join((*pieces, text[end : found[-1][2]]))


# ---------------------------------------------------------------- both


@asynccontextmanager
async def _progressing(handle: Handle) -> AsyncIterator[Callable[[], None]]:
    """The connection's `timeout` for what has come to a standstill: it begins anew whenever `moved` is called."""
    limit = handle.settings.timeout
    loop = asyncio.get_running_loop()
    with handle.told():
        async with asyncio.timeout(limit) as watch:

            def moved() -> None:
                if limit is not None and not watch.expired():
                    watch.reschedule(loop.time() + limit)

            yield moved


@contextmanager
def _placed(handle: Handle) -> Iterator[None]:
    """Errors with the line of the file that the server names."""
    try:
        with handle.told():
            yield
    except FlowExecutionError as error:
        place = getattr(error.__cause__, "context", None)
        if place:
            error.add_note(str(place))
        raise
