"""The built-in tasks that read and write files.

Paths count from the files root (the working directory unless the run says otherwise) and stay under it: `..`
is refused, links are followed before the place is judged. What is written appears whole or not at all: it goes
to a file beside the target, which takes the target's place at the end. Nothing here blocks the event loop.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, ParamSpec, TypedDict, TypeVar

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task
from flowlang.tasks.stream import Stream

P = ParamSpec("P")
T = TypeVar("T")

FILES_ROOT: ContextVar[Path | None] = ContextVar("FILES_ROOT", default=None)
"""The folder that file tasks may use, set by the engine for each run; None is the working directory."""

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


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────


def located(path: str) -> Path:
    """The file that `path` means, links resolved.

    Raises FlowExecutionError: `validation` for a path that is no path, `permission` for one that leaves the root.
    """
    if not path.strip() or "\0" in path:
        raise _invalid(f"{path!r} is no path of a file")
    given = Path(path)
    if ".." in given.parts:
        raise FlowExecutionError(f"the path {path!r} contains `..`", error_class="permission")
    root = (FILES_ROOT.get() or Path.cwd()).resolve()
    try:
        found = (root / given).resolve()
    except (OSError, RuntimeError) as error:
        raise _invalid(f"the path {path!r} cannot be followed: {error}") from error
    if not found.is_relative_to(root):
        raise FlowExecutionError(f"the path {path!r} leads out of the files root {root}", error_class="permission")
    return found


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn what the system says of a file into an error with a class."""
    try:
        yield
    except FileNotFoundError as error:
        raise FlowExecutionError(f"there is no {path!r}, or no folder for it", error_class="not_found") from error
    except PermissionError as error:
        raise FlowExecutionError(f"{path!r} may not be used: {error.strerror}", error_class="permission") from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise _invalid(f"{path!r} is no file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _invalid(f"{path!r} is not valid {error.encoding}: byte {error.start + 1}: {error.reason}") from error
    except UnicodeEncodeError as error:
        raise _invalid(f"the text for {path!r} cannot be written as {error.encoding}: {error.reason}") from error
    except LookupError as error:
        raise _invalid(f"{path!r}: {error}") from error
    except OSError as error:
        full = error.errno in _FULL
        raise FlowExecutionError(
            f"{path!r}: {error.strerror}", error_class="limit" if full else "unavailable"
        ) from error


def _full_errors() -> frozenset[int]:
    import errno

    return frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE})


_FULL = _full_errors()


def _open_to_read(file: Path) -> IO[bytes]:
    """An ordinary file; a pipe or a device would block or never end."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(0, "it is a folder")
        if not stat.S_ISREG(mode):
            raise _invalid(f"{file.name!r} is no ordinary file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


class _Replacement:
    """A new content for a file, which takes its place in `keep`, or vanishes in `drop`."""

    def __init__(self, target: Path) -> None:
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        self._target = target
        self._path = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self.file: IO[bytes] = os.fdopen(os.open(self._path, flags, 0o666), "wb")
        try:
            self._path.chmod(stat.S_IMODE(target.stat().st_mode))
        except FileNotFoundError:
            pass  # nothing to replace: the mode is the process's own
        except BaseException:
            self.drop()
            raise

    def keep(self) -> None:
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self._path.replace(self._target)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        try:
            self.file.close()
        except OSError:
            pass  # what could not be written is thrown away anyway
        self._path.unlink(missing_ok=True)


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call in a thread. A cancellation waits until the thread has done with its file."""
    import asyncio

    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()
        raise cancelled
    return work.result()


def _invalid(message: str) -> FlowExecutionError:
    return FlowExecutionError(message, error_class="validation")


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
    data = await _in_thread(_read, path)
    with _explained(path):
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
        with _explained(path):
            data = content.encode(encoding)
    elif isinstance(content, (bytes, bytearray, memoryview)):
        data = bytes(content)
    else:
        raise _invalid(f"`content` must be text or bytes, not {type(content).__name__}; json_write writes anything")
    await _in_thread(_write, path, data)
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
    return {"value": await _in_thread(_read_json, path)}


@task(effect="write", idempotent=True)
async def json_write(path: str, value: Any, indent: int | None = 2) -> WrittenResult:
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
            value: ${summary}
    """

    def write() -> int:
        from flowlang.tasks.jsontext import to_json

        data = f"{to_json(value, indent)}\n".encode()
        _write(path, data)
        return len(data)

    return {"path": path, "size": await _in_thread(write)}


def _read(path: str) -> bytes:
    with _explained(path), _open_to_read(located(path)) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise FlowExecutionError(f"{path!r} is larger than {LARGEST // 1024**2} MiB", error_class="limit")
    return data


def _write(path: str, data: bytes) -> None:
    with _explained(path):
        replacement = _Replacement(located(path))
        try:
            replacement.file.write(data)
        except BaseException:
            replacement.drop()
            raise
        replacement.keep()


def _read_json(path: str) -> Any:
    import json

    data = _read(path)
    with _explained(path):
        text = data.decode("utf-8-sig")
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise _invalid(f"{path!r} is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise _invalid(f"{path!r} is nested too deeply") from error
    except ValueError as error:
        raise _invalid(f"{path!r} is no JSON: {error}") from error


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
        with _explained(path):
            return CsvReader(path, _open_to_read(located(path)), delimiter, types or {}, encoding)

    def more() -> list[dict[str, Any]]:
        with _explained(path):
            return reader.batch(_BATCH)

    reader = await _in_thread(begin)
    try:
        while batch := await _in_thread(more):
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
            rows: ${orders.rows}
    """
    from flowlang.tasks.csvtext import CsvWriter

    def begin() -> tuple[_Replacement, CsvWriter]:
        with _explained(path):
            target = located(path)
            writer = CsvWriter(delimiter, columns, formulas)
            return _Replacement(target), writer

    def write(batch: list[Any]) -> None:
        data = writer.text(batch)
        with _explained(path):
            replacement.file.write(data.encode())

    def end() -> None:
        with _explained(path):
            replacement.keep()

    if not isinstance(rows, (list, tuple, Stream)):
        raise _invalid(f"`rows` must be a list or a stream of objects, not {type(rows).__name__}")
    replacement, writer = await _in_thread(begin)
    try:
        if isinstance(rows, Stream):
            async with aclosing(rows.batches()) as batches:  # type: ignore[type-var]
                async for batch in batches:
                    await _in_thread(write, batch)
        else:
            for start in range(0, len(rows), _BATCH):
                await _in_thread(write, list(rows[start : start + _BATCH]))
        await _in_thread(write, [])
        await _in_thread(end)
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
