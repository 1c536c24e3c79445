"""The tasks around a collection: its indexes, and its end."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.mongodb.errors import told
from flowlang.connections.mongodb.query import Reader
from flowlang.connections.mongodb.values import refused
from flowlang.tasks.decorator import task
from flowlang.tasks.values import Ident, Query


class IndexResult(TypedDict):
    """`name`: the index's name."""

    name: str


class IndexesResult(TypedDict):
    """`indexes`: `{name, keys, unique, …}` for each. `count`: how many."""

    indexes: list[dict[str, Any]]
    count: int


class DroppedResult(TypedDict):
    """`dropped`: whether there was one."""

    dropped: bool


class CollectionTasks:
    """Tasks around a collection."""

    @task(effect="write", idempotent=True)
    async def create_index(
        self,
        collection: Ident,
        keys: Query[dict[str, Any] | list[Any]],
        unique: bool = False,
        name: str | None = None,
        sparse: bool = False,
        expire_after_seconds: int | None = None,
        partial_filter: Query[dict[str, Any]] | None = None,
        connection: Any = None,
    ) -> IndexResult:
        """Make an index, unless the same is there.

        Args:
            collection: the collection's name
            keys: fields with 1, -1, or a kind such as `text`, in the order that counts
            unique: no two documents may have the same values
            name: the index's name; null makes one of its keys
            sparse: leave out documents without the fields
            expire_after_seconds: delete documents so many seconds after the time in the field
            partial_filter: only documents that fit
            connection: the database (injected)

        Returns:
            name: the index's name

        Raises:
            FlowExecutionError: `conflict` when documents break `unique`, or another index has the name

        Example:
            - mongo_create_index:
                id: by_customer
                connection: store
                collection: orders
                keys: {customer: 1, placed: -1}
        """
        read = Reader()
        pairs = read.order(keys, "`keys`")
        if not pairs:
            raise refused("`keys` must name at least one field")
        options: dict[str, Any] = {"unique": unique or None, "name": name, "sparse": sparse or None}
        options["expireAfterSeconds"] = expire_after_seconds
        options["partialFilterExpression"] = None if partial_filter is None else read.filter(partial_filter)
        given = {key: each for key, each in options.items() if each is not None}
        with told():
            made = await connection.collection(collection).create_index(pairs, session=connection.session, **given)
        return {"name": made}

    @task(effect="read", idempotent=True)
    async def list_indexes(self, collection: Ident, connection: Any = None) -> IndexesResult:
        """Read what indexes a collection has.

        Args:
            collection: the collection's name; one that does not exist has none
            connection: the database (injected)

        Returns:
            indexes: `{name, keys, unique, sparse}` for each, and what else it is made with
            count: how many indexes

        Raises:
            FlowExecutionError: `permission` when the account may not look

        Example:
            - mongo_list_indexes:
                id: indexes
                connection: store
                collection: orders
        """
        with told():
            async with await connection.collection(collection).list_indexes(session=connection.session) as found:
                indexes = [_described(connection.read(each)) for each in await found.to_list()]
        return {"indexes": indexes, "count": len(indexes)}

    @task(effect="write", idempotent=True)
    async def drop_index(self, collection: Ident, name: str, connection: Any = None) -> DroppedResult:
        """Remove an index.

        Args:
            collection: the collection's name
            name: the index's name
            connection: the database (injected)

        Returns:
            dropped: whether there was one of this name

        Raises:
            FlowExecutionError: `permission` when the account may not

        Example:
            - mongo_drop_index:
                id: without
                connection: store
                collection: orders
                name: customer_1_placed_-1
        """
        from pymongo.errors import OperationFailure

        if name == "*":
            raise refused("`name` is `*`, which would drop every index: name one")
        with told():
            try:
                await connection.collection(collection).drop_index(name, session=connection.session)
            except OperationFailure as error:
                if error.code not in (26, 27):  # NamespaceNotFound, IndexNotFound
                    raise
                return {"dropped": False}
        return {"dropped": True}

    @task(effect="write", idempotent=True)
    async def drop_collection(self, collection: Ident, connection: Any = None) -> DroppedResult:
        """Remove a collection with all its documents and indexes.

        Args:
            collection: the collection's name
            connection: the database (injected)

        Returns:
            dropped: whether there was one of this name

        Raises:
            FlowExecutionError: `permission` when the account may not

        Example:
            - mongo_drop_collection:
                id: gone
                connection: store
                collection: scratch
        """
        target = connection.collection(collection)
        with told():
            there = await target.database.list_collection_names(filter={"name": str(collection)})
            await target.drop(session=connection.session)
        return {"dropped": bool(there)}


def _described(index: dict[str, Any]) -> dict[str, Any]:
    """An index as the server tells it, with the names that `mongo_create_index` has for it."""
    keys = dict(index.pop("key", {}))
    index.pop("v", None)
    index.pop("ns", None)
    told = {"name": index.pop("name"), "keys": keys, "unique": index.pop("unique", False)}
    return told | {"sparse": index.pop("sparse", False)} | index
