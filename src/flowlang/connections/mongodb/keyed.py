"""Documents that are inserted once for a key: the `_id` of each is made of it.

An upsert that sets something only when it inserts does nothing where a document with this `_id` is; it is no error, so
it does not end a transaction either.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flowlang.connections.mongodb.bulk import failed_documents
from flowlang.connections.mongodb.errors import told
from flowlang.connections.mongodb.values import refused
from flowlang.tasks.context import Context


def key_of(context: Context | None) -> str | None:
    """The key that the flow gave the step: the one that every step has by itself makes no `_id`s."""
    return None if context is None else context.given_key


async def insert(
    connection: Any, collection: str, documents: list[dict[str, Any]], key: str, *, first: int, ordered: bool = True
) -> list[Any]:
    """Insert those that are not there; their `_id`s. `first` is the number of the first document."""
    from pymongo import UpdateOne

    ids, requests = [], []
    for number, each in enumerate(documents, first):
        if "_id" in each:
            raise refused(
                f"document {number} has an `_id`, and a step with an `idempotency_key` makes it of the key: leave one"
                f" of the two out"
            )
        made = _id(f"{key}:{number}")
        ids.append(made)
        requests.append(UpdateOne({"_id": made}, {"$setOnInsert": {"_id": made, **each}}, upsert=True))
    with told(), failed_documents(first, len(requests), ordered=ordered):
        await connection.collection(collection).bulk_write(requests, ordered=ordered, session=connection.session)
    return ids


def _id(name: str) -> Any:
    """An ObjectId, twelve bytes, that is the same for the same name. The time that others hold it does not."""
    from bson import ObjectId

    return ObjectId(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:12])
