"""What a step works with: the database, and inside a `transaction` block the session that holds it together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowlang.connections.mongodb.values import Readers, refused

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase


class Handle:
    """One lease. The sockets are the driver's: each operation takes one from its pool."""

    __slots__ = ("_readers", "database", "session")

    def __init__(self, database: AsyncDatabase[dict[str, Any]], readers: Readers) -> None:
        self._readers = readers
        self.database = database
        self.session: AsyncClientSession | None = None

    def read(self, value: Any) -> Any:
        """A value that the driver tells by itself, as a document that is read would have it."""
        reader = self._readers.get(type(value))
        return value if reader is None else reader(value)

    def collection(self, name: str) -> AsyncCollection[dict[str, Any]]:
        """A collection by its name. Raises FlowExecutionError (`validation`) for what is none, or the server's own."""
        if not name or "$" in name or "\0" in name or name[0] == "." or name[-1] == ".":
            raise refused(f"`collection` is {name!r}: it must be a name without `$`, and without a dot at its ends")
        if name.startswith("system."):
            raise refused(f"`collection` is {name!r}: `system.` collections belong to the server")
        return self.database[name]


def sessions(client: Any) -> bool:
    """Whether the servers that a client knows have transactions: a replica set or a sharded cluster."""
    known = client.topology_description.server_descriptions().values()
    able = {"RSPrimary", "RSSecondary", "Mongos", "LoadBalancer"}
    return any(each.server_type_name in able and each.logical_session_timeout_minutes for each in known)
