"""The tasks that change and delete documents that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from flowlang.connections.mongodb import twice
from flowlang.connections.mongodb.errors import told
from flowlang.connections.mongodb.query import Reader
from flowlang.connections.mongodb.reading import FindOneResult
from flowlang.connections.mongodb.values import Plain
from flowlang.tasks.decorator import task
from flowlang.tasks.values import Ident, Query

if TYPE_CHECKING:
    from flowlang.connections.mongodb.handle import Handle


class UpdateResult(TypedDict):
    """`matched_count`: documents that fit. `modified_count`: those that are different now. `upserted_id`: the `_id` of
    the document that was made, or null."""

    matched_count: int
    modified_count: int
    upserted_id: Any


class DeleteResult(TypedDict):
    """`deleted_count`: documents deleted."""

    deleted_count: int


class ChangingTasks:
    """Tasks that find documents by a filter, and change them."""

    @task(effect="write", idempotent=twice.updates)
    async def update(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]],
        update: Query[dict[str, Any] | list[Any]],
        many: bool = False,
        upsert: bool = False,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> UpdateResult:
        """Change one document, or all that fit.

        It may be repeated safely where the filter names the `_id`, or `many` is true without `upsert`, and the
        operators say what is to stand there: `$set`, `$unset`, `$setOnInsert`, `$max`, `$min`, `$addToSet`, `$pull`,
        `$pullAll`.

        Args:
            collection: the collection's name
            filter: which documents; `{}` for all
            update: operators such as `$set` with fields, or a pipeline
            many: all that fit, not just one
            upsert: make a document when none fits
            allow_operators: whether expressions in filter and update may give operators and paths
            connection: the database (injected)

        Returns:
            matched_count: documents that fit
            modified_count: documents that are different now
            upserted_id: the `_id` of the document that was made, or null

        Raises:
            FlowExecutionError: `validation` for a faulty update, `conflict` for a key that exists

        Example:
            - mongo_update:
                id: paid
                connection: store
                collection: orders
                filter: {_id: "${inputs.order}"}
                update: {$set: {paid: true}, $inc: {changes: 1}}
        """
        read = Reader(operators=allow_operators)
        wanted, change = read.filter(filter), read.update(update)
        target = connection.collection(collection)
        with told():
            method = target.update_many if many else target.update_one
            done = await method(wanted, change, upsert=upsert, session=connection.session)
        return _updated(connection, done)

    @task(effect="write", idempotent=twice.of_one)
    async def replace(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]],
        document: dict[str, Any],
        upsert: bool = False,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> UpdateResult:
        """Put a document in the place of another.

        It may be repeated safely where the filter names the `_id`.

        Args:
            collection: the collection's name
            filter: which document; the first that fits
            document: what stands there then; it keeps the `_id`
            upsert: insert it when none fits
            allow_operators: whether expressions in the filter may give operators and paths
            connection: the database (injected)

        Returns:
            matched_count: documents that fit: 0 or 1
            modified_count: 1 when it is different now
            upserted_id: the `_id` of the document that was inserted, or null

        Raises:
            FlowExecutionError: `validation` for a faulty filter or document, `conflict` for a key that exists

        Example:
            - mongo_replace:
                id: saved
                connection: store
                collection: settings
                filter: {_id: "${inputs.user}"}
                document: ${inputs.settings}
                upsert: true
        """
        wanted = Reader(operators=allow_operators).filter(filter)
        made = Plain().document(document, "`document`")
        with told():
            target = connection.collection(collection)
            done = await target.replace_one(wanted, made, upsert=upsert, session=connection.session)
        return _updated(connection, done)

    @task(effect="write", idempotent=twice.deletes)
    async def delete(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]],
        many: bool = False,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> DeleteResult:
        """Delete one document, or all that fit.

        It may be repeated safely where the filter names the `_id`, or `many` is true.

        Args:
            collection: the collection's name
            filter: which documents; `{}` for all
            many: all that fit, not just one
            allow_operators: whether expressions in the filter may give operators and paths
            connection: the database (injected)

        Returns:
            deleted_count: documents deleted

        Raises:
            FlowExecutionError: `validation` for a faulty filter, or operators in data

        Example:
            - mongo_delete:
                id: old
                connection: store
                collection: sessions
                filter: {expires: {$lt: "${now()}"}}
                many: true
        """
        wanted = Reader(operators=allow_operators).filter(filter)
        target = connection.collection(collection)
        with told():
            method = target.delete_many if many else target.delete_one
            done = await method(wanted, session=connection.session)
        return {"deleted_count": done.deleted_count}

    @task(effect="write", idempotent=False)
    async def find_one_and_update(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]],
        update: Query[dict[str, Any] | list[Any]],
        projection: Query[dict[str, Any] | list[str]] | None = None,
        sort: Query[dict[str, Any] | list[Any]] | None = None,
        upsert: bool = False,
        give: Literal["after", "before"] = "after",
        allow_operators: bool = False,
        connection: Any = None,
    ) -> FindOneResult:
        """Change the first document that fits and give it, in one step that nobody can come between.

        Args:
            collection: the collection's name
            filter: which document
            update: operators such as `$set` with fields, or a pipeline
            projection: the fields to give: `{name: 1}`, or a list of names
            sort: fields with 1 or -1, which say what is first
            upsert: make a document when none fits
            give: the document as it is `after` the change, or was `before`
            allow_operators: whether expressions in the query may give operators and paths
            connection: the database (injected)

        Returns:
            document: the document, or null
            found: whether there is one

        Raises:
            FlowExecutionError: `validation` for a faulty update, `conflict` for a key that exists

        Example:
            - mongo_find_one_and_update:
                id: job
                connection: store
                collection: jobs
                filter: {state: waiting}
                update: {$set: {state: running}}
                sort: {created: 1}
        """
        read = Reader(operators=allow_operators)
        with told():
            document = await connection.collection(collection).find_one_and_update(
                read.filter(filter),
                read.update(update),
                read.projection(projection),
                sort=read.order(sort),
                upsert=upsert,
                return_document=give == "after",
                session=connection.session,
            )
            document = connection.read(document)
        return {"document": document, "found": document is not None}


def _updated(handle: Handle, done: Any) -> UpdateResult:
    made = done.upserted_id
    return {
        "matched_count": done.matched_count,
        "modified_count": done.modified_count,
        "upserted_id": None if made is None else handle.read(made),
    }
