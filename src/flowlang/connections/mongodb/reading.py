"""The tasks that read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypedDict

from flowlang.connections.mongodb.errors import told
from flowlang.connections.mongodb.query import Reader
from flowlang.connections.mongodb.values import refused
from flowlang.tasks.decorator import task
from flowlang.tasks.values import Ident, Query

if TYPE_CHECKING:
    from pymongo.asynchronous.cursor import AsyncCursor

    from flowlang.connections.mongodb.handle import Handle


class FindResult(TypedDict):
    """`documents`: objects in the order of `sort`. `count`: how many."""

    documents: list[dict[str, Any]]
    count: int


class FindOneResult(TypedDict):
    """`document`: the first that fits, or null. `found`: whether there is one."""

    document: dict[str, Any] | None
    found: bool


class CountResult(TypedDict):
    """`count`: how many documents fit."""

    count: int


class DistinctResult(TypedDict):
    """`values`: each once. `count`: how many."""

    values: list[Any]
    count: int


class ReadingTasks:
    """Tasks that change nothing."""

    @task(effect="read", idempotent=True)
    async def find(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]] | None = None,
        projection: Query[dict[str, Any] | list[str]] | None = None,
        sort: Query[dict[str, Any] | list[Any]] | None = None,
        limit: int = 0,
        skip: int = 0,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> FindResult:
        """Read documents.

        Args:
            collection: the collection's name
            filter: which documents; null for all
            projection: the fields to give: `{name: 1}`, or a list of names
            sort: fields with 1 or -1, in the order that counts
            limit: at most so many documents; 0 for all
            skip: leave so many out first
            allow_operators: whether expressions in the query may give operators and paths
            connection: the database (injected)

        Returns:
            documents: objects in the order of `sort`
            count: how many documents

        Raises:
            FlowExecutionError: `validation` for a faulty query, or operators in data

        Example:
            - mongo_find:
                id: orders
                connection: store
                collection: orders
                filter: {customer: "${inputs.customer}", total: {$gte: 10}}
                sort: {placed: -1}
                limit: 20
        """
        with told():
            async with _cursor(connection, collection, filter, projection, sort, limit, skip, allow_operators) as found:
                documents = connection.documents(await found.to_list())
        return {"documents": documents, "count": len(documents)}

    @task(effect="read", idempotent=True)
    async def find_one(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]] | None = None,
        projection: Query[dict[str, Any] | list[str]] | None = None,
        sort: Query[dict[str, Any] | list[Any]] | None = None,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> FindOneResult:
        """Read the first document that fits.

        Args:
            collection: the collection's name
            filter: which document; null for any
            projection: the fields to give: `{name: 1}`, or a list of names
            sort: fields with 1 or -1, which say what is first
            allow_operators: whether expressions in the query may give operators and paths
            connection: the database (injected)

        Returns:
            document: the document, or null
            found: whether there is one

        Raises:
            FlowExecutionError: `validation` for a faulty query, or operators in data

        Example:
            - mongo_find_one:
                id: order
                connection: store
                collection: orders
                filter: {_id: "${inputs.order}"}
        """
        with told():
            async with _cursor(connection, collection, filter, projection, sort, -1, 0, allow_operators) as found:
                documents = connection.documents(await found.to_list())
        return {"document": documents[0] if documents else None, "found": bool(documents)}

    @task(effect="read", idempotent=True)
    async def count(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]] | None = None,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> CountResult:
        """Count documents.

        Args:
            collection: the collection's name
            filter: which documents; null for all
            allow_operators: whether expressions in the query may give operators and paths
            connection: the database (injected)

        Returns:
            count: how many documents fit

        Raises:
            FlowExecutionError: `validation` for a faulty query, or operators in data

        Example:
            - mongo_count:
                id: unpaid
                connection: store
                collection: orders
                filter: {paid: false}
        """
        wanted = Reader(operators=allow_operators).filter(filter)
        with told():
            found = await connection.collection(collection).count_documents(wanted, session=connection.session)
        return {"count": found}

    @task(effect="read", idempotent=True)
    async def distinct(
        self,
        collection: Ident,
        field: str,
        filter: Query[dict[str, Any]] | None = None,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> DistinctResult:
        """Read the different values of a field.

        Args:
            collection: the collection's name
            field: the field, or a path such as `address.city`
            filter: which documents; null for all
            allow_operators: whether expressions in the query may give operators and paths
            connection: the database (injected)

        Returns:
            values: each value once; of a list each item
            count: how many values

        Raises:
            FlowExecutionError: `validation` for a faulty query, `limit` for more than 16 MiB of values

        Example:
            - mongo_distinct:
                id: cities
                connection: store
                collection: customers
                field: address.city
        """
        wanted = Reader(operators=allow_operators).filter(filter)
        with told():
            values = await connection.collection(collection).distinct(field, wanted, session=connection.session)
            values = connection.read(values)
        return {"values": values, "count": len(values)}

    @task(effect="read", idempotent=True, stream="documents")
    async def stream(
        self,
        collection: Ident,
        filter: Query[dict[str, Any]] | None = None,
        projection: Query[dict[str, Any] | list[str]] | None = None,
        sort: Query[dict[str, Any] | list[Any]] | None = None,
        batch_size: int = 1000,
        allow_operators: bool = False,
        connection: Any = None,
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Read documents as a stream, for results of any size.

        Args:
            collection: the collection's name
            filter: which documents; null for all
            projection: the fields to give: `{name: 1}`, or a list of names
            sort: fields with 1 or -1, in the order that counts
            batch_size: documents fetched at a time
            allow_operators: whether expressions in the query may give operators and paths
            connection: the database (injected)

        Returns:
            documents: a stream of objects

        Raises:
            FlowExecutionError: as `mongo_find`; `unavailable` when the server gave the cursor up

        Example:
            - mongo_stream:
                id: events
                connection: store
                collection: events
                filter: {kind: login}
        """
        if batch_size < 1:
            raise refused(f"`batch_size` is {batch_size}: it must be 1 or more")
        with told():
            opened = _cursor(connection, collection, filter, projection, sort, 0, 0, allow_operators)
        async with opened.batch_size(batch_size) as found:
            while True:
                with told():
                    batch = connection.documents(await found.to_list(batch_size))
                if not batch:
                    return
                yield batch


def _cursor(
    handle: Handle,
    collection: str,
    wanted: Any,
    projection: Any,
    sort: Any,
    limit: int,
    skip: int,
    operators: bool,
) -> AsyncCursor[dict[str, Any]]:
    """The cursor of a find. A `limit` below zero gives so many documents and leaves no cursor at the server."""
    if skip < 0 or limit < -1:
        raise refused("`limit` and `skip` must be 0 or more")
    read = Reader(operators=operators)
    return handle.collection(collection).find(
        read.filter(wanted),
        read.projection(projection),
        sort=read.order(sort),
        limit=limit,
        skip=skip,
        session=handle.session,
    )
