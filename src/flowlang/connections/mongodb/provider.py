"""The MongoDB connection type.

It uses PyMongo's `AsyncMongoClient`, which keeps a pool of sockets for each server and watches the servers in tasks of
its own; both are gone when the connection is closed. What values become is said in `values`, what may stand in a query
in `query`, what errors mean in `errors`, what the URL may hold in `settings`.

The driver's own retries are off unless the URL asks for them (`retryWrites=true`): a step has `retry`, and two layers
of attempts would multiply. An operation that is cancelled closes its socket, so that none stays busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.mongodb.aggregating import AggregatingTasks
from flowlang.connections.mongodb.changing import ChangingTasks
from flowlang.connections.mongodb.collections import CollectionTasks
from flowlang.connections.mongodb.errors import code_of, told, verdict
from flowlang.connections.mongodb.reading import ReadingTasks
from flowlang.connections.mongodb.settings import client_options, problem
from flowlang.connections.mongodb.writing import WritingTasks
from flowlang.exceptions import ConnectionError, FlowExecutionError

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient
    from pymongo.asynchronous.collection import AsyncCollection

    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.mongodb.answers import Answers
    from flowlang.connections.mongodb.handle import Handle


def _milliseconds(about: str, default: int, least: int = 0) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": 3_600_000, "default": default, "description": about}


class MongoDBPlugin(ReadingTasks, AggregatingTasks, WritingTasks, ChangingTasks, CollectionTasks, ConnectionPlugin):
    """MongoDB through PyMongo."""

    name = "mongodb"
    description = "MongoDB database, or a server that speaks its protocol"
    version = "1.0.0"
    category = "database"
    task_prefix = "mongo"
    error_table = staticmethod(verdict)
    error_code = staticmethod(code_of)
    shareable = True

    def __init__(self) -> None:
        super().__init__()
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._database: Any = None
        self._answers: Answers | None = None
        self._collections: dict[str, AsyncCollection[dict[str, Any]]] = {}

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["url", "database"],
            "additionalProperties": False,
            "properties": {
                "url": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Where the servers are: `mongodb://user:password@host:27017/?authSource=admin`",
                },
                "database": {"type": "string", "minLength": 1, "description": "The database that the tasks work on"},
                "max_pool_size": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10_000,
                    "default": 100,
                    "description": "Sockets to each server that may be open at once",
                },
                "min_pool_size": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 10_000,
                    "default": 0,
                    "description": "Sockets to each server that are kept open",
                },
                "server_selection_timeout_ms": _milliseconds("Milliseconds to look for a server that fits", 10_000, 1),
                "connect_timeout_ms": _milliseconds("Milliseconds to open a socket to a server", 10_000, 1),
                "socket_timeout_ms": _milliseconds("Milliseconds to wait for an answer; 0 for as long as it takes", 0),
                "wait_queue_timeout_ms": _milliseconds("Milliseconds to wait for a socket of the pool", 30_000, 1),
                "max_idle_time_ms": _milliseconds("Milliseconds that a socket may be idle; 0 for ever", 0),
                "tls": {
                    "type": ["boolean", "null"],
                    "default": None,
                    "description": "Encrypt; null does what `url` says, which for `mongodb+srv` is yes",
                },
                "tls_ca_file": {
                    "type": ["string", "null"],
                    "default": None,
                    "description": "File with the authorities to trust, in place of the system's",
                },
                "tls_certificate_key_file": {
                    "type": ["string", "null"],
                    "default": None,
                    "description": "File with the certificate and key to show to the server",
                },
                "tls_verify": {
                    "type": "boolean",
                    "default": True,
                    "description": "False trusts any server: whoever sits between can read and change everything",
                },
                "object_ids": {
                    "enum": ["text", "extended"],
                    "type": "string",
                    "default": "text",
                    "description": "ObjectIds are read as text, or as `{$oid: text}`, which is written as one again",
                },
            },
        }

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if valid:
            reason = problem(config)
        return reason is None, reason

    def get_dependencies(self) -> list[str]:
        return ["pymongo>=4.13"]

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.mongodb.settings import servers

        return servers(config)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self, config: dict[str, Any]) -> Any:
        from flowlang.connections.mongodb.answers import Answers, codec
        from flowlang.connections.mongodb.client import client

        with told():
            self._client = client(config["url"], **client_options(config))
            self._collections = {}
            self._answers = Answers(extended=config.get("object_ids") == "extended")
            self._database = self._client.get_database(config["database"], codec_options=codec())
            await self._client.admin.command("ping")
        return self._client

    async def disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            closing = asyncio.ensure_future(client.close())
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                await closing  # cut short it would leave its sockets and tasks
                raise

    async def get_connection(self) -> Handle:
        from flowlang.connections.mongodb.handle import Handle

        if self._client is None or self._answers is None:
            raise ConnectionError("the MongoDB connection is not open")
        return Handle(self._database, self._answers, self._collections)

    async def discard_connection(self, connection: Handle) -> None:
        """The socket of what failed is closed already; a session may be left."""
        session, connection.session = connection.session, None
        if session is not None:
            await session.end_session()

    async def ping(self, connection: Handle) -> None:
        with told():
            await connection.database.command("ping")

    @asynccontextmanager
    async def transaction(self, connection: Handle) -> AsyncIterator[None]:
        """A transaction with majority write concern, read from a snapshot. Needs a replica set or a sharded cluster."""
        from pymongo import WriteConcern
        from pymongo.read_concern import ReadConcern

        from flowlang.connections.mongodb.handle import sessions

        if connection.session is not None:
            raise FlowExecutionError("MongoDB has no transactions inside of transactions", error_class="validation")
        client = connection.database.client
        if not sessions(client):
            raise FlowExecutionError(
                "this server has no transactions: they need a replica set or a sharded cluster", error_class="config"
            )
        async with client.start_session() as session:
            with told():
                await session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
            connection.session = session
            try:
                yield
                with told():
                    await session.commit_transaction()
            except BaseException:
                if session.in_transaction:
                    await session.abort_transaction()
                raise
            finally:
                connection.session = None

    # ── what it can do ──────────────────────────────────────────────────────────────────────────────────────

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        """The tasks, bound to this connection."""
        kinds = (ReadingTasks, AggregatingTasks, WritingTasks, ChangingTasks, CollectionTasks)
        methods = [name for kind in kinds for name in vars(kind) if not name.startswith("_")]
        return {f"mongo_{name}": getattr(self, name) for name in methods}
