"""The tasks that compute from documents, in stages."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.mongodb.errors import told
from flowlang.connections.mongodb.query import Reader
from flowlang.connections.mongodb.reading import FindResult
from flowlang.connections.mongodb.values import refused
from flowlang.tasks.decorator import task
from flowlang.tasks.values import Ident, Query

_WRITING = ("$out", "$merge")


class IntoResult(TypedDict):
    """`collection`: the one that was read."""

    collection: str


class AggregatingTasks:
    """Pipelines: what comes out of one is given to the flow, or written to a collection."""

    @task(effect="read", idempotent=True)
    async def aggregate(
        self,
        collection: Ident,
        pipeline: Query[list[dict[str, Any]]],
        allow_operators: bool = False,
        connection: Any = None,
    ) -> FindResult:
        """Compute from documents, in stages.

        Args:
            collection: the collection's name
            pipeline: the stages, in order; `$out` and `$merge` belong to `mongo_aggregate_into`
            allow_operators: whether expressions in the pipeline may give operators, paths and fields
            connection: the database (injected)

        Returns:
            documents: what comes out of the last stage
            count: how many documents

        Raises:
            FlowExecutionError: `validation` for a faulty stage, operators in data, or a text in data that names a field

        Example:
            - mongo_aggregate:
                id: totals
                connection: store
                collection: orders
                pipeline:
                  - $match: {placed: {$gte: "${inputs.since}"}}
                  - $group: {_id: $customer, total: {$sum: $total}}
        """
        stages = Reader(operators=allow_operators).pipeline(pipeline)
        for name in _WRITING:
            if any(name in each for each in stages):
                raise refused(f"`{name}` writes a collection: use `mongo_aggregate_into`")
        with told():
            async with await connection.collection(collection).aggregate(stages, session=connection.session) as found:
                documents = connection.documents(await found.to_list())
        return {"documents": documents, "count": len(documents)}

    @task(effect="write", idempotent=False)
    async def aggregate_into(
        self,
        collection: Ident,
        pipeline: Query[list[dict[str, Any]]],
        allow_operators: bool = False,
        connection: Any = None,
    ) -> IntoResult:
        """Compute from documents, and write what comes out to a collection.

        Args:
            collection: the name of the collection to read
            pipeline: the stages, in order; the last one is `$out` or `$merge`
            allow_operators: whether expressions in the pipeline may give operators, paths and fields
            connection: the database (injected)

        Returns:
            collection: the name of the collection that was read

        Raises:
            FlowExecutionError: `validation` for a faulty stage, or operators in data

        Example:
            - mongo_aggregate_into:
                id: totals
                connection: store
                collection: orders
                pipeline:
                  - $group: {_id: $customer, total: {$sum: $total}}
                  - $merge: totals
        """
        stages = Reader(operators=allow_operators).pipeline(pipeline)
        if not stages or not stages[-1].keys() & set(_WRITING):
            raise refused("the last stage of `pipeline` must be `$out` or `$merge`; `mongo_aggregate` gives documents")
        with told():
            async with await connection.collection(collection).aggregate(stages, session=connection.session):
                pass
        return {"collection": str(collection)}
