"""Many records at once: several in one INSERT, and UPDATEs that are prepared once. Runs in the session's thread."""

from __future__ import annotations

from typing import Any

from flowlang.connections._sql.records import Insert, Records, Update, kinds_of
from flowlang.connections.sqlite.session import Session
from flowlang.connections.sqlite.values import checked, flattened
from flowlang.tasks.table import part

_ROWS_PER_STATEMENT = 200  # longer INSERTs gain nothing more
_REFUSED = (OverflowError, UnicodeEncodeError)  # what the driver raises for a value, without saying which


def insert(session: Session, job: Insert, records: Records, first: int) -> int:
    """Insert records, batch by batch, all or nothing. Returns the rows inserted or updated."""
    if session.in_transaction:
        return _insert(session, job, records, first)
    with session.together():
        return _insert(session, job, records, first)


def _insert(session: Session, job: Insert, records: Records, first: int) -> int:
    at_once = max(1, min(_ROWS_PER_STATEMENT, session.variables // len(job.columns)))
    full, vouched = job.statement(at_once), kinds_of(records, job.columns)
    count = 0
    for start in range(0, len(records), job.batch_size):
        session.stop_if_given_up()
        rows = job.tuples(part(records, start, start + job.batch_size), first + start)
        flat = flattened(rows, job.columns, first + start, vouched)
        try:
            count += _inserted(session, job, flat, full, at_once)
        except _REFUSED:
            checked(rows, job.columns, first + start)
            raise
    return count


def _inserted(session: Session, job: Insert, flat: list[Any], full: str, at_once: int) -> int:
    width = at_once * len(job.columns)
    whole = len(flat) - len(flat) % width
    count = 0
    for start in range(0, whole, width):
        count += session.changed(full, flat[start : start + width])
    if whole < len(flat):
        rest = flat[whole:]
        count += session.changed(job.statement(len(rest) // len(job.columns)), rest)
    return count


def update(session: Session, job: Update, records: Records, first: int) -> int:
    """Update records, batch by batch. Returns the rows whose key was found."""
    columns, text, count = (*job.columns, job.key_field), job.statement(), 0
    vouched = kinds_of(records, columns)
    for start in range(0, len(records), job.batch_size):
        session.stop_if_given_up()
        rows = job.tuples(part(records, start, start + job.batch_size), first + start)
        flat = iter(flattened(rows, columns, first + start, vouched))
        try:
            count += session.changed_by_each(text, zip(*[flat] * len(columns)))
        except _REFUSED:
            checked(rows, columns, first + start)
            raise
    return count
