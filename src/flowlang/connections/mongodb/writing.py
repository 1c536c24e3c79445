"""The tasks that write documents, few or many."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypedDict

from flowlang.connections.mongodb import keyed
from flowlang.connections.mongodb.bulk import failed_documents, failed_operations, requests
from flowlang.connections.mongodb.errors import told
from flowlang.connections.mongodb.query import Reader
from flowlang.connections.mongodb.values import Plain, refused
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.context import Context
from flowlang.tasks.decorator import task
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Ident, Query


class InsertResult(TypedDict):
    """`inserted_ids`: the `_id` of each document, in order. `count`: how many."""

    inserted_ids: list[Any]
    count: int


class BatchInsertResult(TypedDict):
    """`inserted_count`: documents inserted."""

    inserted_count: int
    batches: int
    collection: str


class BulkResult(TypedDict):
    """How many documents the operations inserted, fitted, changed, deleted and made."""

    inserted_count: int
    matched_count: int
    modified_count: int
    deleted_count: int
    upserted_count: int


class WritingTasks:
    """Tasks that bring documents, or orders for them, to the server."""

    @task(effect="write", idempotent=False)
    async def insert(
        self,
        collection: Ident,
        documents: list[dict[str, Any]] | dict[str, Any],
        connection: Any = None,
        context: Context | None = None,
    ) -> InsertResult:
        """Insert one document or several.

        A step with an `idempotency_key` makes the `_id` of each document of it, and leaves alone what is there under
        this `_id`: it may be done again, and inserts each document once.

        Args:
            collection: the collection's name
            documents: a list of objects, or one; without an `_id` each gets one
            connection: the database (injected)
            context: of the step (injected)

        Returns:
            inserted_ids: the `_id` of each document, in order
            count: how many documents

        Raises:
            FlowExecutionError: `conflict` for a key that exists (those before it are inserted), `validation` for keys
                that begin with `$` or hold a dot

        Example:
            - mongo_insert:
                id: placed
                connection: store
                collection: orders
                documents: {customer: "${inputs.customer}", total: "${inputs.total}"}
        """
        given = documents if isinstance(documents, list) else [documents]
        made = _documents(given, 1, Plain())
        if not made:
            return {"inserted_ids": [], "count": 0}
        if (key := keyed.key_of(context)) is not None:
            ids = await keyed.insert(connection, collection, made, key, first=1)
            return {"inserted_ids": [connection.read(each) for each in ids], "count": len(made)}
        with told(), failed_documents(1, len(made), ordered=True):
            done = await connection.collection(collection).insert_many(made, session=connection.session)
        return {"inserted_ids": [connection.read(each) for each in done.inserted_ids], "count": len(made)}

    @task(effect="write", idempotent=False)
    async def batch_insert(
        self,
        collection: Ident,
        documents: list[dict[str, Any]] | Stream,
        batch_size: int = 1000,
        ordered: bool = True,
        connection: Any = None,
        context: Context | None = None,
    ) -> BatchInsertResult:
        """Insert many documents, batch after batch. What a failure leaves inserted stays; it says which.

        A step with an `idempotency_key` may be done again with the same documents in the same order, as `mongo_insert`.

        Args:
            collection: the collection's name
            documents: objects; a list or a stream
            batch_size: documents sent at a time
            ordered: stop at the first that is refused; false tries all of its batch
            connection: the database (injected)
            context: of the step (injected)

        Returns:
            inserted_count: documents inserted
            batches: how many batches it took
            collection: the collection's name

        Raises:
            FlowExecutionError: of the first document that was refused; notes name the others and how many are in

        Example:
            - mongo_batch_insert:
                id: load
                connection: store
                collection: events
                documents: ${inputs.events}
        """
        if batch_size < 1:
            raise refused(f"`batch_size` is {batch_size}: it must be 1 or more")
        target, count, batches, plain = connection.collection(collection), 0, 0, Plain()
        key = keyed.key_of(context)
        async with aclosing(_batches(documents, batch_size)) as source:
            async for batch in source:
                made = _documents(batch, count + 1, plain)
                if key is not None:
                    await keyed.insert(connection, collection, made, key, first=count + 1, ordered=ordered)
                else:
                    with told(), failed_documents(count + 1, len(made), ordered=ordered):
                        await target.insert_many(made, ordered=ordered, session=connection.session)
                count += len(made)
                batches += 1
        return {"inserted_count": count, "batches": batches, "collection": str(collection)}

    @task(effect="write", idempotent=False)
    async def bulk_write(
        self,
        collection: Ident,
        operations: Query[list[dict[str, Any]]],
        ordered: bool = True,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> BulkResult:
        """Write in many ways with few round trips.

        Args:
            collection: the collection's name
            operations: objects of one key: `insert_one: {document}`, `update_one` or `update_many: {filter, update,
                upsert}`, `replace_one: {filter, document, upsert}`, `delete_one` or `delete_many: {filter}`
            ordered: stop at the first that fails; false tries all
            allow_operators: whether expressions in filters and updates may give operators and paths
            connection: the database (injected)

        Returns:
            inserted_count: documents inserted
            matched_count: documents that updates and replacements fit
            modified_count: documents that are different now
            deleted_count: documents deleted
            upserted_count: documents made by `upsert`

        Raises:
            FlowExecutionError: of the first operation that failed; notes name the others and what was done

        Example:
            - mongo_bulk_write:
                id: moved
                connection: store
                collection: stock
                operations:
                  - update_one: {filter: {_id: "${inputs.source}"}, update: {$inc: {count: -1}}}
                  - update_one: {filter: {_id: "${inputs.target}"}, update: {$inc: {count: 1}}, upsert: true}
        """
        made = requests(operations, Reader(operators=allow_operators))
        if not made:
            return {
                "inserted_count": 0,
                "matched_count": 0,
                "modified_count": 0,
                "deleted_count": 0,
                "upserted_count": 0,
            }
        with told(), failed_operations():
            target = connection.collection(collection)
            done = await target.bulk_write(made, ordered=ordered, session=connection.session)
        return {
            "inserted_count": done.inserted_count,
            "matched_count": done.matched_count,
            "modified_count": done.modified_count,
            "deleted_count": done.deleted_count,
            "upserted_count": done.upserted_count,
        }


def _documents(given: list[Any], first: int, plain: Plain) -> list[dict[str, Any]]:
    """Documents as the driver takes them; `first` is the number of the first, for errors."""
    alike = plain.alike(given)
    if alike is not None:
        return alike
    made = []
    for number, each in enumerate(given, first):
        try:
            made.append(plain.document(each, f"document {number}"))
        except FlowExecutionError as error:
            if first > 1:
                error.add_note(f"kept all the same: {first - 1} inserted")
            raise
    return made


async def _batches(documents: list[Any] | Stream, size: int) -> AsyncGenerator[list[Any], None]:
    if isinstance(documents, Stream):
        async with aclosing(documents.batches(size)) as batches:
            async for batch in batches:
                if batch:
                    yield batch
        return
    if not isinstance(documents, (list, tuple)):
        raise refused(f"the documents must be a list or a stream, not {type(documents).__name__}")
    for start in range(0, len(documents), size):
        yield list(documents[start : start + size])
