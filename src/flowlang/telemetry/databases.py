"""What the spans of a task on a database say of it, in the words of the conventions.

https://opentelemetry.io/docs/specs/semconv/db/database-spans/ and its pages on MongoDB and Redis. A statement is shown
as the flow has it, with `?` for each value: the values are bound, never part of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowlang.tasks.values import Sql
from flowlang.telemetry import names

LONGEST = 4000  # characters of a statement that a span shows

SYSTEMS = {
    "postgres": "postgresql",
    "mysql": "mysql",
    "sqlite": "sqlite",
    "mongodb": "mongodb",
    "redis": "redis",
}
"""What `db.system.name` is, by connection type."""

_MONGODB = {
    "mongo_find": "find",
    "mongo_find_one": "find",
    "mongo_stream": "find",
    "mongo_count": "aggregate",  # what the driver counts documents by
    "mongo_distinct": "distinct",
    "mongo_aggregate": "aggregate",
    "mongo_aggregate_into": "aggregate",
    "mongo_insert": "insert",
    "mongo_batch_insert": "insert",
    "mongo_bulk_write": "BATCH",
    "mongo_update": "update",
    "mongo_replace": "update",
    "mongo_delete": "delete",
    "mongo_find_one_and_update": "findAndModify",
    "mongo_create_index": "createIndexes",
    "mongo_list_indexes": "listIndexes",
    "mongo_drop_index": "dropIndexes",
    "mongo_drop_collection": "drop",
}
_REDIS = {  # the other tasks are called like their commands
    "redis_delete": "DEL",
    "redis_expire": "PEXPIRE",
    "redis_ttl": "PTTL",
    "redis_incr": "INCRBY",
    "redis_xgroup_create": "XGROUP CREATE",
    "redis_batch_set": "BATCH SET",
    "redis_pipeline": "PIPELINE",
    "redis_stream": "SCAN",
    "redis_lock": "SET",
    "redis_unlock": "EVAL",
    "redis_lock_extend": "EVAL",
}


def asked(operation: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a task asks of a database: the statement, or the command and its collection. `inputs` are those of the
    event; what is secret in them is masked, and no statement any more."""
    if operation.startswith("mongo_"):
        command, collection = _MONGODB.get(operation), inputs.get("collection")
        known = {} if command is None else {names.COMMAND: command}
        return {**known, names.COLLECTION: collection} if isinstance(collection, str) else known
    if operation.startswith("redis_"):
        return {names.COMMAND: _REDIS.get(operation, operation.removeprefix("redis_").upper())}
    query = inputs.get("query")
    if isinstance(query, Sql):
        return {names.QUERY: "?".join(query.texts)[:LONGEST]}
    return {}
