"""A step that is done once: its key and its outputs stand in a table of the user's database, written in the transaction
in which the step does its work.

    begin → claim the key → is there an answer? ── yes ──▶ that is the step's, and nothing is done
                                 └─ no ──▶ do it → write the answer → commit

A claim is a row without outputs. It waits for a transaction that has claimed the same key and is not over yet, so of
two at once one does the work and the other finds its answer. A row without outputs is never committed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.plugin import SqlPlugin
from flowlang.connections._sql.records import invalid
from flowlang.connections._sql.text import quote_column
from flowlang.exceptions import FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.tagged import Untaggable, tagged, untagged

TABLE = "flowlang_once"
COLUMNS = ("key", "step", "outputs", "at")
_LONGEST = 255  # characters of a key: what MySQL can index, four bytes each
CLAIMS = 5  # times that a key is claimed when the database ends the transaction for it


@frozen
class _Texts:
    """The statements of a dialect."""

    probe: str
    create: str
    claim: str
    answer: str
    keep: str


# The types of the columns, and what ends CREATE TABLE.
_TYPES = {
    "MySQL": ("VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "LONGTEXT", "TIMESTAMP"),
    "PostgreSQL": ("text", "text", "timestamptz"),
}
_ENDS = {"MySQL": " ENGINE = InnoDB"}


def _texts(dialect: Dialect) -> _Texts:
    key, step, outputs, at = (quote_column(each, dialect) for each in COLUMNS)
    short, long, time = _TYPES.get(dialect.name, ("VARCHAR(255)", "TEXT", "TIMESTAMP"))
    first, second = ("$1", "$2") if dialect.paramstyle == "numeric" else (dialect.mark, dialect.mark)
    mysql = dialect.name == "MySQL"
    left = f"ON DUPLICATE KEY UPDATE {key} = {key}" if mysql else "ON CONFLICT DO NOTHING"
    latest = " LOCK IN SHARE MODE" if mysql else ""  # not the state that the transaction began to read from
    return _Texts(
        probe=f"SELECT {key}, {step}, {outputs}, {at} FROM {TABLE} WHERE 1 = 0",  # noqa: S608 - names of our own
        create=f"CREATE TABLE IF NOT EXISTS {TABLE} ({key} {short} NOT NULL PRIMARY KEY, {step} {long} NOT NULL,"
        f" {outputs} {long}, {at} {time} NOT NULL DEFAULT CURRENT_TIMESTAMP){_ENDS.get(dialect.name, '')}",
        claim=f"INSERT INTO {TABLE} ({key}, {step}) VALUES ({first}, {second}) {left}",  # noqa: S608
        answer=f"SELECT {step}, {outputs} FROM {TABLE} WHERE {key} = {first}{latest}",  # noqa: S608
        keep=f"UPDATE {TABLE} SET {outputs} = {first} WHERE {key} = {second}",  # noqa: S608
    )


async def prepare(handle: SqlHandle, dialect: Dialect) -> None:
    """Make the table where it is missing. Outside of any transaction: MySQL would commit it.

    Raises FlowExecutionError: `validation` when a table of this name has other columns, `permission` when it may not be
    made.
    """
    texts = _texts(dialect)
    if await _there(handle, texts):
        return
    try:
        await handle.run(texts.create, [])
    except FlowExecutionError as error:
        if error.error_class == "conflict" and await _there(handle, texts):
            return  # another one has made it meanwhile
        error.add_note(f"`exactly_once` keeps its keys in the table `{TABLE}`; make it by hand: {texts.create}")
        raise
    if not await _there(handle, texts):
        listed = ", ".join(f"`{each}`" for each in COLUMNS)
        raise invalid(
            f"the table `{TABLE}` is there already, without the columns of FlowLang's ({listed}): rename it, or give"
            f" the connection another schema or database"
        )


async def _there(handle: SqlHandle, texts: _Texts) -> bool:
    try:
        await handle.fetch(texts.probe, [], None)
    except FlowExecutionError as error:
        if error.error_class == "not_found":  # the table, or a column
            return False
        raise
    return True


async def done_once(
    plugin: SqlPlugin,
    handle: SqlHandle,
    key: str,
    step: str,
    work: Callable[[], Awaitable[dict[str, Any]]],
    *,
    alone: bool,
) -> dict[str, Any]:
    """The outputs of `work`, which is done in a transaction, or what it gave when it was done with this key before.

    `step` says who does it; `alone`: the handle is in no transaction. Raises FlowExecutionError: `validation` for a key
    that another step has, and for outputs that cannot be kept, and then nothing of the work is; and what the work
    raises.
    """
    tries = CLAIMS if alone else 1
    while True:
        tries -= 1
        try:
            return await _in_transaction(plugin, handle, key, step, work)
        except Outrun as outrun:
            if not tries:
                raise outrun.refusal from outrun.refusal.__cause__


class Outrun(Exception):
    """The database has ended a transaction that claimed a key, before anything else was done in it. Where several wait
    for one that rolls back, all claim the key at once: MySQL finds a deadlock then, and lets one of them go on."""

    def __init__(self, refusal: FlowExecutionError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


async def _in_transaction(
    plugin: SqlPlugin, handle: SqlHandle, key: str, step: str, work: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    async with plugin.transaction(handle):
        answer = await claim(plugin.dialect, handle, key, step)
        if answer is not None:
            return answer
        outputs = await work()
        await keep(plugin.dialect, handle, key, outputs)
    return outputs


async def claim(dialect: Dialect, handle: SqlHandle, key: str, step: str) -> dict[str, Any] | None:
    """In a transaction that is open: nobody else can do what `key` stands for before it is over. What was done with it
    before gave, if it was. Raises `Outrun`, and FlowExecutionError as `done_once` does."""
    texts, name = _texts(dialect), _stored(key)
    try:
        await handle.run(texts.claim, [name, step])
    except FlowExecutionError as error:
        if error.error_class == "conflict" and error.retryable:
            raise Outrun(error) from error
        raise
    rows = await handle.fetch(texts.answer, [name], None)
    return _kept(rows[0], key, step) if rows and rows[0]["outputs"] is not None else None


async def keep(dialect: Dialect, handle: SqlHandle, key: str, outputs: object) -> None:
    """Write what was done under the key that the open transaction has claimed gave. Raises FlowExecutionError."""
    await handle.run(_texts(dialect).keep, [_written(outputs), _stored(key)])


def _stored(key: str) -> str:
    """`key` as the table has it: one that is too long, or ends in what a database may leave out, ends in its digest."""
    if len(key) <= _LONGEST and key == key.rstrip():
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[: _LONGEST - 1 - len(digest)]}:{digest}"


def _written(outputs: object) -> str:
    try:
        return json.dumps(tagged(outputs), separators=(",", ":"), allow_nan=False)
    except Untaggable as error:
        raise invalid(f"what the step gives cannot be kept for `exactly_once`: {error}; nothing was done") from error


def _kept(row: dict[str, Any], key: str, step: str) -> dict[str, Any]:
    if row["step"] != step:
        raise invalid(
            f"the key `{key}` was used by another step, {row['step']}: a key stands for one operation, so give each"
            f" step its own"
        )
    try:
        outputs: dict[str, Any] = untagged(json.loads(row["outputs"]))
    except (ValueError, Untaggable) as error:
        raise invalid(f"what `{TABLE}` holds for the key `{key}` was not written by FlowLang: {error}") from error
    return outputs
