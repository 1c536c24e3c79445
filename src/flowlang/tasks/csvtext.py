"""CSV as `csv_read` and `csv_write` mean it: a header, the same cells in every line, values with types."""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice
from operator import itemgetter
from typing import IO, Any

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.jsontext import plain, to_json
from flowlang.tasks.table import labelled

LONGEST_CELL = 16 * 1024 * 1024
"""Characters of one cell. A quote that is never closed ends here, not in the whole file."""

_WHOLE = re.compile(r"\s*[+-]?\d+\s*\Z", re.ASCII)
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _integer(text: str) -> int:
    if not _WHOLE.match(text):  # int() would also take 1_000 and other scripts' digits
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    if not _PLAIN_NUMBER.match(text.strip()):
        raise ValueError
    number = float(text)
    if math.isinf(number):
        raise ValueError
    return number


def _decimal(text: str) -> Decimal:
    if not _PLAIN_NUMBER.match(text.strip()):
        raise ValueError
    try:
        return Decimal(text.strip())
    except InvalidOperation as error:
        raise ValueError from error


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise ValueError


CELL_TYPES: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": lambda text: datetime.date.fromisoformat(text.strip()),
    "timestamp": lambda text: datetime.datetime.fromisoformat(text.strip()),
}


def _invalid(message: str) -> FlowExecutionError:
    return FlowExecutionError(message, error_class="validation")


def check_delimiter(delimiter: str) -> None:
    """Raises FlowExecutionError (`validation`) for what cannot stand between cells."""
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise _invalid(f"`delimiter` is {delimiter!r}: it must be one character, no quote and no line break")


class CsvReader:
    """The rows of an open file. `close` closes the file; a failed construction does too."""

    def __init__(
        self, name: str, file: IO[bytes], delimiter: str, types: Mapping[str, str], encoding: str = "utf-8"
    ) -> None:
        self._name = name
        self._file = file
        try:
            check_delimiter(delimiter)
            marked = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
            text = io.TextIOWrapper(file, encoding=marked, newline="")
            csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
            self._reader = csv.reader(text, delimiter=delimiter, strict=True)
            self._header = self._read_header()
            self._typed = self._converters(types)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def _read_header(self) -> list[str]:
        _, header = next(self._lines(), (0, None))
        if header is None:
            raise _invalid(f"{self._name!r} is empty: its first line must name the columns")
        for position, name in enumerate(header, 1):
            if not name.strip():
                raise _invalid(f"{self._name!r}: column {position} has no name in the header")
            if name in header[: position - 1]:
                raise _invalid(f"{self._name!r}: the header names `{name}` twice")
        return header

    def _converters(self, types: Mapping[str, str]) -> list[tuple[int, str, Callable[[str], Any]]]:
        found = []
        for column, word in types.items():
            if column not in self._header:
                names = ", ".join(f"`{name}`" for name in self._header)
                raise _invalid(f"`types` names `{column}`, which {self._name!r} has not; it has {names}")
            if word not in CELL_TYPES:
                known = ", ".join(CELL_TYPES)
                raise _invalid(f"`types` says `{word}` for `{column}`; it may be {known}")
            if word != "string":
                found.append((self._header.index(column), word, CELL_TYPES[word]))
        return found

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """The records with the number of the line each begins on; blank lines are passed over."""
        while True:
            begins = self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _invalid(f"{self._name!r}, line {begins}: {error}") from error
            if cells:
                yield begins, cells

    def batch(self, size: int) -> list[dict[str, Any]]:
        """The next rows, at most `size`; empty at the end."""
        lines = list(islice(self._lines(), size))
        width = len(self._header)
        for number, cells in lines:
            if len(cells) != width:
                raise _invalid(f"{self._name!r}, line {number}: {len(cells)} cells, the header has {width}")
        for position, word, convert in self._typed:
            for number, cells in lines:
                cells[position] = self._value(number, position, word, convert, cells[position])
        return labelled(self._header, [cells for _, cells in lines])

    def _value(self, line: int, position: int, word: str, convert: Callable[[str], Any], cell: str) -> Any:
        if cell == "" or cell.isspace():
            return None
        try:
            return convert(cell)
        except ValueError as error:
            shown = cell if len(cell) <= 40 else cell[:40] + "…"
            where = f"{self._name!r}, line {line}, column `{self._header[position]}`"
            raise _invalid(f"{where}: {shown!r} is no {word}") from error


class CsvWriter:
    """Makes the text of a file, batch by batch; the header comes with the first."""

    def __init__(self, delimiter: str, columns: Sequence[str] | None, formulas: str) -> None:
        check_delimiter(delimiter)
        if formulas not in ("escape", "keep", "refuse"):
            raise _invalid(f"`formulas` is {formulas!r}; it may be `escape`, `keep` or `refuse`")
        if columns is not None and (not columns or len(set(columns)) != len(columns)):
            raise _invalid("`columns` must name at least one column, each once")
        self._delimiter = delimiter
        self._chosen = columns is not None
        self._columns: list[str] | None = list(columns) if columns is not None else None
        self._formulas = formulas
        self._begun = False
        self.count = 0

    def text(self, rows: Sequence[Any]) -> str:
        """The lines of `rows`, with the header before the first ones."""
        if self._columns is None:
            if not rows:
                return ""
            self._columns = self._columns_of(rows[0])
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=self._delimiter, lineterminator="\r\n")
        if not self._begun:
            self._begun = True
            writer.writerow([self._cell(name, 0, name) for name in self._columns])
        columns = self._columns
        for number, cells in enumerate(self._picked(rows), self.count + 1):
            writer.writerow(
                [cell if type(cell) is int else self._cell(cell, number, name) for name, cell in zip(columns, cells)]
            )
        self.count += len(rows)
        return buffer.getvalue()

    def _columns_of(self, row: Any) -> list[str]:
        if not isinstance(row, Mapping) or not row:
            raise _invalid("row 1 must be an object with at least one key")
        return [str(name) for name in row]

    def _picked(self, rows: Sequence[Any]) -> list[Sequence[Any]]:
        """The values of each row in the order of the columns."""
        columns = self._columns or []
        pick: Callable[[Any], Any] = itemgetter(*columns)
        for number, row in enumerate(rows, self.count + 1):
            if not isinstance(row, Mapping):
                raise _invalid(f"row {number} is {type(row).__name__}, not an object")
            missing = next((name for name in columns if name not in row), None)
            if missing is not None:
                raise _invalid(f"row {number} has no `{missing}`")
            if not self._chosen and len(row) != len(columns):
                more = next(name for name in row if name not in columns)
                raise _invalid(f"row {number} has `{more}`, which the first row has not; `columns` chooses some")
        return [pick(row) for row in rows] if len(columns) > 1 else [(pick(row),) for row in rows]

    def _cell(self, value: Any, number: int, column: str) -> Any:
        if isinstance(value, str):
            return self._guarded(value, number, column)
        if value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)):
            return format(value, "f") if isinstance(value, Decimal) and value.is_finite() else value
        if isinstance(value, bool):
            return "true" if value else "false"
        try:
            text = to_json(value) if isinstance(value, (Mapping, list, tuple)) else plain(value)
        except (TypeError, FlowExecutionError) as error:
            raise _invalid(f"row {number}, column `{column}`: {error}") from error
        return text if isinstance(text, str) else to_json(text)

    def _guarded(self, text: str, number: int, column: str) -> str:
        if self._formulas == "keep" or not text.startswith(_FORMULA) or _PLAIN_NUMBER.match(text):
            return text
        if self._formulas == "escape":
            return f"'{text}"
        where = f"row {number}, column `{column}`" if number else "the header"
        raise _invalid(f"{where}: the text begins with {text[0]!r}; a spreadsheet would take it for a formula")
