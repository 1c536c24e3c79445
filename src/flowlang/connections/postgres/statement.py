"""A prepared statement: its values on the way in, its rows on the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flowlang.connections._sql.records import invalid
from flowlang.connections._sql.results import Row, StatementResult, unique_columns
from flowlang.connections.postgres.values import Convert, decoder, encoder, kind_of, refused
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.table import Table

_COUNTED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "COPY"})
_ARGUMENT = re.compile(r"query argument \$(\d+)")


class Statement:
    """`prepared` is asyncpg's. The types of its values and columns are looked at once."""

    __slots__ = ("columns", "kinds", "prepared", "types", "_decoders", "_encoders", "_natives")

    def __init__(self, prepared: Any) -> None:
        self.prepared = prepared
        self.types = prepared.get_parameters()
        self._encoders = [encoder(each) for each in self.types]
        self._natives = [(each.native, type(None)) for each in self._encoders]
        attributes = prepared.get_attributes()
        self.columns = unique_columns([each.name for each in attributes])
        self.kinds = tuple(kind_of(each.type) for each in attributes)
        decoders = [(each.name, decoder(each.type)) for each in attributes]
        self._decoders: list[tuple[str, Convert]] = [(name, each) for name, each in decoders if each is not None]

    def values(self, given: Sequence[Any]) -> Sequence[Any]:
        """The values as the driver takes them. Raises FlowExecutionError (`validation`) that names one by number."""
        if len(given) != len(self._encoders):
            raise invalid(f"the statement takes {len(self._encoders)} values, and there are {len(given)}")
        for value, native in zip(given, self._natives):
            if type(value) not in native:
                return self._converted(given)
        return given

    def _converted(self, given: Sequence[Any]) -> list[Any]:
        done = []
        for number, (value, into) in enumerate(zip(given, self._encoders), 1):
            try:
                done.append(into.one(value))
            except ValueError as error:
                raise refused(f"value {number} of the statement, {self.types[number - 1].name}", error) from error
        return done

    def rows(self, records: Sequence[Any]) -> list[Row]:
        """The driver's records as objects."""
        rows: list[Row] = list(map(dict, records))
        for name, convert in self._decoders:
            for row in rows:
                if row[name] is not None:
                    row[name] = convert(row[name])
        return rows

    def table(self, records: Sequence[Any], *, vouched: bool) -> Table:
        """The same as a table; records stay the driver's where nothing is to be converted. `vouched`: nobody has set
        the driver to read the server's types otherwise."""
        kinds = self.kinds if vouched else ()
        if not self._decoders:
            return Table(self.columns, records, kinds)
        places = [(self.columns.index(name), convert) for name, convert in self._decoders]
        rows = list(map(list, records))
        for row in rows:
            for place, convert in places:
                if row[place] is not None:
                    row[place] = convert(row[place])
        return Table(self.columns, list(map(tuple, rows)), kinds)

    def result(self, records: Sequence[Any]) -> StatementResult:
        return {"rows": self.rows(records), "rows_affected": affected(self.prepared.get_statusmsg())}


def affected(status: str | None) -> int:
    """The rows that a command tag counts (`INSERT 0 5`, `UPDATE 3`), 0 for statements that change none."""
    words = (status or "").split()
    return int(words[-1]) if words and words[0] in _COUNTED and words[-1].isdigit() else 0


def value_refused(error: BaseException) -> FlowExecutionError | None:
    """An error of the driver's about one value, in our words; None when it is about something else."""
    match = _ARGUMENT.search(str(error))
    if match is None:
        return None
    cause = error.__cause__
    if isinstance(cause, UnicodeEncodeError):
        return refused(f"value {match[1]} of the statement", cause)
    reason = str(error).partition("(")[2].rstrip(")") if cause is None else str(cause)
    return refused(f"value {match[1]} of the statement", ValueError(reason or "it does not fit its type"))
