"""The built-in tasks that read and write files.

Paths count from the files root (the working directory unless the run says otherwise) and stay under it: `..`
is refused, links are followed before the place is judged. What is written appears whole or not at all: it goes
to a file beside the target, which takes the target's place at the end. Nothing here blocks the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, Literal, TypedDict

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task
from flowlang.tasks.places import FILES_ROOT, Replacement, explained, in_thread, invalid, located, open_to_read
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Kept

__all__ = ["FILES_ROOT", "FILE_TASKS", "LARGEST"]

LARGEST = 64 * 1024 * 1024
"""Bytes that `file_read` and `json_read` take into memory. `csv_read` streams and has no such bound."""

_BATCH = 1000  # rows of one batch


class JsonResult(TypedDict):
    """`value`: what the file holds."""

    value: Any


class ContentResult(TypedDict):
    """`content`: text, or bytes when no encoding was given. `size`: bytes of the file."""

    content: Any
    size: int


class WrittenResult(TypedDict):
    """`path`: as it was given. `size`: bytes written."""

    path: str
    size: int


class CsvWrittenResult(TypedDict):
    """`path`: as it was given. `count`: rows written, the header not counted."""

    path: str
    count: int


# ── whole files ─────────────────────────────────────────────────────────────────────────────────────────────────


@task(effect="read", idempotent=True)
async def file_read(path: str, encoding: str | None = "utf-8") -> ContentResult:
    """Read a whole file of up to 64 MiB.

    Args:
        path: the file, from the files root
        encoding: how its text is encoded; null for bytes

    Returns:
        content: the text, or bytes
        size: bytes of the file

    Raises:
        FlowExecutionError: `not_found`, `permission`, `limit` for a larger file, `validation` for another encoding

    Example:
        - file_read:
            id: letter
            path: templates/letter.txt
    """
    data = await in_thread(_read, path)
    with explained(path):
        return {"content": data if encoding is None else data.decode(encoding), "size": len(data)}


@task(effect="write", idempotent=True)
async def file_write(path: str, content: str | bytes, encoding: str = "utf-8") -> WrittenResult:
    """Write a whole file, in place of what was there.

    Args:
        path: the file, from the files root; its folder must exist
        content: text or bytes
        encoding: how text is encoded

    Returns:
        path: as it was given
        size: bytes written

    Raises:
        FlowExecutionError: `not_found` without the folder, `permission`, `limit` when the disk is full

    Example:
        - file_write:
            path: out/greeting.txt
            content: Hello ${inputs.name}
    """
    if isinstance(content, str):
        with explained(path):
            data = content.encode(encoding)
    elif isinstance(content, (bytes, bytearray, memoryview)):
        data = bytes(content)
    else:
        raise invalid(f"`content` must be text or bytes, not {type(content).__name__}; json_write writes anything")
    await in_thread(_write, path, data)
    return {"path": path, "size": len(data)}


@task(effect="read", idempotent=True)
async def json_read(path: str) -> JsonResult:
    """Read a JSON file of up to 64 MiB.

    Args:
        path: the file, from the files root

    Returns:
        value: what it holds

    Raises:
        FlowExecutionError: `validation` for text that is no JSON (with line and column), `not_found`, `permission`

    Example:
        - json_read:
            id: settings
            path: settings.json
    """
    return {"value": await in_thread(_read_json, path)}


@task(effect="write", idempotent=True)
async def json_write(path: str, value: Kept[Any], indent: int | None = 2) -> WrittenResult:
    """Write a value as a JSON file, as the function `json()` writes it.

    Args:
        path: the file, from the files root; its folder must exist
        value: any value but a stream; NaN and infinity are refused
        indent: spaces for each level; null for one line

    Returns:
        path: as it was given
        size: bytes written

    Raises:
        FlowExecutionError: `validation` for a value without JSON, and as `file_write`

    Example:
        - json_write:
            path: out/summary.json
            value: ${inputs.summary}
    """

    def write() -> int:
        from flowlang.tasks.jsontext import to_json

        data = f"{to_json(value, indent)}\n".encode()
        _write(path, data)
        return len(data)

    return {"path": path, "size": await in_thread(write)}


def _read(path: str) -> bytes:
    with explained(path), open_to_read(located(path)) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise FlowExecutionError(f"{path!r} is larger than {LARGEST // 1024**2} MiB", error_class="limit")
    return data


def _write(path: str, data: bytes) -> None:
    with explained(path):
        replacement = Replacement(located(path))
        try:
            replacement.file.write(data)
        except BaseException:
            replacement.drop()
            raise
        replacement.keep()


def _read_json(path: str) -> Any:
    import json

    data = _read(path)
    with explained(path):
        text = data.decode("utf-8-sig")
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise invalid(f"{path!r} is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise invalid(f"{path!r} is nested too deeply") from error
    except ValueError as error:
        raise invalid(f"{path!r} is no JSON: {error}") from error


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


# ── CSV ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@task(effect="read", idempotent=True, stream="rows")
async def csv_read(
    path: str, delimiter: str = ",", types: dict[str, str] | None = None, encoding: str = "utf-8"
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Read a CSV file with a header line as a stream of objects.

    Args:
        path: the file, from the files root; a byte order mark is passed over
        delimiter: the character between cells
        types: column → `string`, `integer`, `number`, `decimal`, `boolean`, `date` or `timestamp`; columns not
            named are texts. An empty cell of a column that is no `string` is null
        encoding: how the text is encoded

    Returns:
        rows: a stream of objects, one a line, the header's names as keys

    Raises:
        FlowExecutionError: `validation` with line and column for a cell that does not fit its type, a line with
            more or fewer cells than the header, a header with a name twice; `not_found`, `permission`

    Example:
        - csv_read:
            id: orders
            path: in/orders.csv
            types: {id: integer, total: decimal, placed: timestamp}
    """
    from flowlang.tasks.csvtext import CsvReader

    def begin() -> CsvReader:
        with explained(path):
            return CsvReader(path, open_to_read(located(path)), delimiter, types or {}, encoding)

    def more() -> list[dict[str, Any]]:
        with explained(path):
            return reader.batch(_BATCH)

    reader = await in_thread(begin)
    try:
        while batch := await in_thread(more):
            yield batch
    finally:
        reader.close()


@task(effect="write", idempotent=True)
async def csv_write(
    path: str,
    rows: list[dict[str, Any]] | Stream,
    delimiter: str = ",",
    columns: list[str] | None = None,
    formulas: Literal["escape", "keep", "refuse"] = "escape",
) -> CsvWrittenResult:
    """Write objects as a CSV file with a header line, in the form of RFC 4180 (lines end with CR LF).

    Null is an empty cell, booleans are `true` and `false`, times ISO 8601, lists and objects JSON. A text that a
    spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break, and is no plain
    number) gets a `'` before it.

    Args:
        path: the file, from the files root; its folder must exist
        rows: objects with the same keys, as a list or a stream
        delimiter: the character between cells
        columns: which keys, in this order; null for those of the first row, which then all rows must have
        formulas: `escape` such texts with `'`, `keep` them as they are, or `refuse` them

    Returns:
        path: as it was given
        count: rows written

    Raises:
        FlowExecutionError: `validation` for a row whose keys differ or a value without text (row and column
            named), and as `file_write`

    Example:
        - csv_write:
            path: out/orders.csv
            rows: ${inputs.orders}
    """
    from flowlang.tasks.csvtext import CsvWriter

    def begin() -> tuple[Replacement, CsvWriter]:
        with explained(path):
            target = located(path)
            writer = CsvWriter(delimiter, columns, formulas)
            return Replacement(target), writer

    def write(batch: list[Any]) -> None:
        data = writer.text(batch)
        with explained(path):
            replacement.file.write(data.encode())

    def end() -> None:
        with explained(path):
            replacement.keep()

    if not isinstance(rows, (list, tuple, Stream)):
        raise invalid(f"`rows` must be a list or a stream of objects, not {type(rows).__name__}")
    replacement, writer = await in_thread(begin)
    try:
        if isinstance(rows, Stream):
            async with aclosing(rows.batches()) as batches:
                async for batch in batches:
                    await in_thread(write, batch)
        else:
            for start in range(0, len(rows), _BATCH):
                await in_thread(write, list(rows[start : start + _BATCH]))
        await in_thread(write, [])
        await in_thread(end)
    except BaseException:
        replacement.drop()
        raise
    return {"path": path, "count": writer.count}


FILE_TASKS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "csv_read": csv_read,
        "csv_write": csv_write,
        "file_read": file_read,
        "file_write": file_write,
        "json_read": json_read,
        "json_write": json_write,
    }
)
