"""LineKV connections, a plugin that does everything right: what each mutant makes worse in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NotRequired, TypedDict
from urllib.parse import unquote, urlsplit

from tests.conformance.double.pool import Pool

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.errors import Classified
from flowlang.exceptions import ConnectionError, FlowExecutionError
from flowlang.tasks.decorator import task

CODES = {
    "AUTH": "auth",
    "DENIED": "permission",
    "MISSING": "not_found",
    "EXISTS": "conflict",
    "INVALID": "validation",
    "SLOW_DOWN": "rate_limited",
    "DOWN": "unavailable",
}


class Value(TypedDict):
    value: Any


class Stored(TypedDict):
    key: str


class Counted(TypedDict):
    count: int


class Everything(TypedDict):
    values: dict[str, Any]


class Item(TypedDict):
    key: str
    value: NotRequired[Any]


class LineKVPlugin(ConnectionPlugin):
    """Keys and values on a LineKV server."""

    name = "linekv"
    description = "Keys and values on a LineKV server"
    version = "1.0.0"
    category = "database"
    shareable = True

    def __init__(self) -> None:
        super().__init__()
        self._pool: Pool | None = None

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": False,
            "anyOf": [{"required": ["url"]}, {"required": ["host"]}],
            "properties": {
                "url": {"type": "string", "description": "linekv://user:password@host:port"},
                "host": {"type": "string", "description": "Name of the host, in place of `url`"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 7000, "description": "Port"},
                "user": {"type": "string", "default": "flow", "description": "Account"},
                "password": {"type": "string", "default": "", "writeOnly": True, "description": "Of the account"},
                "pool_size": {"type": "integer", "minimum": 1, "maximum": 64, "default": 4, "description": "Links"},
                "encrypted": {"type": "boolean", "default": False, "description": "Ask for TLS"},
            },
        }

    def place(self, config: dict[str, Any]) -> tuple[str, int, str, str]:
        """Host, port, user and password."""
        if "url" not in config:
            return config["host"], config["port"], config["user"], config["password"]
        url = urlsplit(config["url"])
        return url.hostname or "", url.port or 7000, unquote(url.username or "flow"), unquote(url.password or "")

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self, config: dict[str, Any]) -> Pool:
        from linekv import Link

        host, port, user, password = self.place(config)

        async def link() -> Link:
            if config.get("encrypted"):
                await encrypted(host, port)
            return await Link.open(host, port, user, password)

        self._pool = Pool(link, config.get("pool_size", 4))
        self.capacity = config.get("pool_size", 4)
        await self.release_connection(await self.get_connection())
        return self._pool

    async def disconnect(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def get_connection(self) -> Any:
        if self._pool is None:
            raise ConnectionError("the LineKV connection is not open")
        try:
            return await self._pool.acquire()
        except Exception as error:
            raise ConnectionError(f"no link to LineKV: {error}") from error

    async def release_connection(self, connection: Any) -> None:
        if self._pool is not None:
            await self._pool.release(connection)

    async def discard_connection(self, connection: Any) -> None:
        if self._pool is not None:
            self._pool.discard(connection)

    async def ping(self, connection: Any) -> None:
        await connection.ask("PING")

    # ── what it can do ──────────────────────────────────────────────────────────────────────────────────────

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        names = "put get add put_all all scan wait running fail use space fill".split()
        return {f"{self.name}_{each}": getattr(self, f"task_{each}") for each in names}

    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        """One request; what the driver raises becomes FlowLang's error, chained."""
        try:
            return await connection.ask(verb, **arguments)
        except Exception as error:
            raise FlowExecutionError(f"LineKV {verb.lower()}: {error}") from error

    @task(effect="write", idempotent=True)
    async def task_put(self, key: str, value: Any, connection: Any = None) -> Stored:
        """Keep a value.

        Args:
            key: its name
            value: what to keep

        Returns:
            key: its name

        Example:
            - linekv_put: {id: keep, connection: kv, key: greeting, value: hello}
        """
        await self.ask(connection, "PUT", key=key, value=value)
        return {"key": key}

    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> Value:
        """Read a value.

        Args:
            key: its name
        """
        return {"value": await self.ask(connection, "GET", key=key)}

    @task(effect="write", idempotent=False)
    async def task_add(self, key: str, value: Any, connection: Any = None) -> Stored:
        """Keep a value under a name that is not taken.

        Args:
            key: its name
            value: what to keep
        """
        await self.ask(connection, "PUT", key=key, value=value, new=True)
        return {"key": key}

    @task(effect="write", idempotent=True)
    async def task_put_all(self, items: list[Item], connection: Any = None) -> Counted:
        """Keep several values, or none.

        Args:
            items: keys and values
        """
        return {"count": await self.ask(connection, "PUT_ALL", items=items)}

    @task(effect="read")
    async def task_all(self, connection: Any = None) -> Everything:
        """Read everything."""
        return {"values": await self.ask(connection, "ALL")}

    @task(effect="read")
    async def task_scan(
        self, prefix: str = "", batch_size: int = 500, connection: Any = None
    ) -> AsyncIterator[list[Item]]:
        """Read what begins with a prefix, as a stream.

        Args:
            prefix: what the keys begin with
            batch_size: items at a time
        """
        batch: list[Item] = []
        async for item in connection.items("SCAN", prefix=prefix):
            batch.append(item)
            if len(batch) == batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    @task(effect="read")
    async def task_wait(self, seconds: float, connection: Any = None) -> Value:
        """Let the server take its time.

        Args:
            seconds: how long
        """
        return {"value": await self.ask(connection, "SLOW", seconds=seconds)}

    @task(effect="read")
    async def task_running(self, connection: Any = None) -> Counted:
        """How many requests take their time."""
        return {"count": await self.ask(connection, "RUNNING")}

    @task(effect="read")
    async def task_fail(self, code: str, connection: Any = None) -> Value:
        """Fail as wished.

        Args:
            code: the server's word
        """
        return {"value": await self.ask(connection, "FAIL", code=code)}

    @task(effect="none")
    async def task_use(self, space: str, connection: Any = None) -> Value:
        """Change to another space, on this handle.

        Args:
            space: its name
        """
        return {"value": await self.ask(connection, "USE", space=space)}

    @task(effect="read")
    async def task_space(self, connection: Any = None) -> Value:
        """The space of this handle."""
        return {"value": await self.ask(connection, "SPACE")}

    @task(effect="write", idempotent=True)
    async def task_fill(self, count: int, connection: Any = None) -> Counted:
        """Replace everything by numbered items.

        Args:
            count: how many
        """
        return {"count": await self.ask(connection, "FILL", count=count)}

    # ── what can go wrong ───────────────────────────────────────────────────────────────────────────────────

    def error_table(self, error: BaseException) -> Classified | str | None:  # type: ignore[override]
        """The server's words are its error classes."""
        name = CODES.get(getattr(error, "code", ""))
        if name == "rate_limited":
            return Classified(name, retryable=True, retry_after=getattr(error, "wait", None))
        return name

    def get_dependencies(self) -> list[str]:
        return ["linekv-client>=1.0"]


async def encrypted(host: str, port: int) -> None:
    """LineKV speaks no TLS, so this fails as it should."""
    import asyncio
    import ssl

    _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context(), ssl_handshake_timeout=2)
    writer.close()
