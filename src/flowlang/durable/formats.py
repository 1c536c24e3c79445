"""The format of a store: a new store has ours, an older one is brought up to it, a newer one is refused.

An older one is changed only while no process runs what it holds: a worker of the version that made it would go on
writing what that version knows.
"""

from __future__ import annotations

import logging

from flowlang.durable import schema
from flowlang.durable.database import Database, Statements, Transaction
from flowlang.exceptions import StoreError

_LOG = logging.getLogger("flowlang.durable")


async def prepare(database: Database) -> None:
    """Make the tables where they are missing. Raises `StoreError` for a store of a format that is not ours and cannot
    be made so; it is left as it is."""
    if await database.has_table("flowlang_meta") and await _format(database) == schema.FORMAT:
        return  # to make what is there already takes locks all the same, against those who write

    async def make(tx: Transaction) -> int | None:
        await tx.lock("flowlang schema")
        await tx.execute(schema.META)
        found = await _format(tx)
        if found == schema.FORMAT:
            return found  # somebody else was first, and others may be writing by now
        if found is not None:
            await _upgrade(tx, database, found)
        for statement in schema.TABLES:
            await tx.execute(statement.format(**database.types))
        if found is None:
            await tx.execute(
                "INSERT INTO flowlang_meta (key, value) VALUES ('format', :format)", format=str(schema.FORMAT)
            )
        return found

    found = await database.transact(make)
    if found not in (schema.FORMAT, None):
        _LOG.warning("the store %s was of format %d, and is of format %d now", database.url, found, schema.FORMAT)


async def _format(statements: Statements) -> int | None:
    rows = await statements.fetch("SELECT value FROM flowlang_meta WHERE key = 'format'")
    return int(rows[0]["value"]) if rows else None


async def _upgrade(tx: Transaction, database: Database, found: int) -> None:
    from flowlang.durable.liveness import living

    told = f"the store {database.url} is of format {found}, this FlowLang writes format {schema.FORMAT}"
    steps = range(found, schema.FORMAT)
    if found > schema.FORMAT or not all(each in schema.UPGRADES for each in steps):
        raise StoreError(f"{told}: use the version that made it, or a later one, or another store")
    # Who is about to say that it lives waits for this, and then finds another format.
    await tx.execute("UPDATE flowlang_meta SET value = :format WHERE key = 'format'", format=str(schema.FORMAT))
    if busy := await living(database, tx):
        raise StoreError(
            f"{told}, and {busy} process{'es' if busy > 1 else ''} of the older version run what it holds:"
            " stop them (SIGTERM), then try again"
        )
    for each in steps:
        for statement in schema.UPGRADES[each]:
            await tx.execute(statement.format(**database.types))
