"""What the tasks and the handles of SQL plugins give back, and the statements of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from flowlang.connections._sql.records import invalid
from flowlang.tasks.values import Sql

Row = dict[str, Any]


class QueryResult(TypedDict):
    """`rows`: one object a row, its keys the column names. `count`: how many."""

    rows: list[dict[str, Any]]
    count: int


class ExecuteResult(TypedDict):
    """`rows_affected`: rows inserted, changed or deleted."""

    rows_affected: int


class Statement(TypedDict):
    """A statement of a transaction; expressions in `query` are bound."""

    query: Sql
    params: NotRequired[list[Any] | None]


class StatementResult(TypedDict):
    """What one statement of a transaction gave."""

    rows: list[dict[str, Any]]
    rows_affected: int


class TransactionResult(TypedDict):
    """`results`: `{rows, rows_affected}` for each statement, in order. `count`: how many statements."""

    results: list[StatementResult]
    count: int


class BatchInsertResult(TypedDict):
    """`inserted_count`: rows inserted, or updated by `on_conflict: update`."""

    inserted_count: int
    batches: int
    table: str


class BatchUpdateResult(TypedDict):
    """`updated_count`: rows whose key was found, changed by the update or not."""

    updated_count: int
    batches: int
    table: str


def unique_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The column names of a result, refused when two are the same: an object would keep one of them silently."""
    if len(set(names)) != len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise invalid(f"the result has two columns `{twice}`: name one of them with AS")
    return tuple(names)
