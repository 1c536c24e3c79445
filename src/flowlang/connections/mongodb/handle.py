"""What a step works with: the database, and inside a `transaction` block the session that holds it together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowlang.connections.mongodb.values import refused

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase

    from flowlang.connections.mongodb.answers import Answers

_MOST_COLLECTIONS = 256


class Handle:
    """One lease. The sockets are the driver's: each operation takes one from its pool.

    Whatever the driver gives from the database goes through `documents` or `read`, within `told()`.
    """

    __slots__ = ("_collections", "database", "documents", "read", "session")

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        answers: Answers,
        collections: dict[str, AsyncCollection[dict[str, Any]]],
    ) -> None:
        """`collections`: those asked for so far, shared by all leases; making one costs as much as a filter."""
        self._collections = collections
        self.database = database
        self.documents = answers.documents
        self.read = answers.value
        self.session: AsyncClientSession | None = None

    def collection(self, name: str) -> AsyncCollection[dict[str, Any]]:
        """A collection by its name. Raises FlowExecutionError (`validation`) for what is none, or the server's own."""
        known = self._collections.get(name)
        if known is not None:
            return known
        if not name or "$" in name or "\0" in name or name[0] == "." or name[-1] == ".":
            raise refused(f"`collection` is {name!r}: it must be a name without `$`, and without a dot at its ends")
        if name.startswith("system."):
            raise refused(f"`collection` is {name!r}: `system.` collections belong to the server")
        if len(self._collections) >= _MOST_COLLECTIONS:
            self._collections.clear()
        return self._collections.setdefault(str(name), self.database[name])


def sessions(client: Any) -> bool:
    """Whether the servers that a client knows have transactions: a replica set or a sharded cluster."""
    known = client.topology_description.server_descriptions().values()
    able = {"RSPrimary", "RSSecondary", "Mongos", "LoadBalancer"}
    return any(each.server_type_name in able and each.logical_session_timeout_minutes for each in known)
