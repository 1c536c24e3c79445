"""`PooledPlugin`: a connection type whose tasks lease a handle of a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import ConnectionError

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool


class PooledPlugin(ConnectionPlugin):
    """A subclass says in `make_pool` which handles it opens, and how many.

    What a handle's `open` raises is what a flow is told: it has been put into FlowLang's words there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool: Pool[Any] | None = None

    def make_pool(self, config: dict[str, Any]) -> Pool[Any]:
        """The pool for a checked config, its handles still unopened."""
        raise NotImplementedError(f"{type(self).__qualname__} does not define make_pool()")

    async def connect(self, config: dict[str, Any]) -> Pool[Any]:
        """Open the first handles of the pool, one at least, so that what is wrong shows before the first step."""
        pool = self._pool = self.make_pool(config)
        self.capacity = pool.size
        await pool.fill()
        return pool

    async def disconnect(self) -> None:
        """Close every handle."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def get_connection(self) -> Any:
        """A handle of the pool, opened if need be."""
        if self._pool is None:
            raise ConnectionError(f"the connection of type `{self.name}` is not open")
        return await self._pool.acquire()

    async def release_connection(self, connection: Any) -> None:
        """Back to the pool, reset; closed where that is not enough."""
        if self._pool is not None:
            await self._pool.release(connection)

    async def discard_connection(self, connection: Any) -> None:
        """Close the handle, and end what it still does."""
        if self._pool is not None:
            await self._pool.discard(connection)

    async def ping(self, connection: Any) -> None:
        await connection.ping()
