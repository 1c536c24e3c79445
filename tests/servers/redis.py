"""Redis (or Valkey under the same name)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers.process import HOST, Missing, Server, program

DATABASES = 64


class Redis(Server):
    """Nothing is written to disk but on request."""

    kind = "redis"
    packages = ("redis-server",)

    @classmethod
    def require(cls) -> None:
        if program("redis-server") is None:
            raise Missing("Redis is not installed (Debian: apt install redis-server)")

    def prepare(self) -> None:
        self.data.mkdir()

    def command(self) -> Sequence[str]:
        return [
            program("redis-server") or "redis-server",
            *("--bind", HOST),
            *("--port", str(self.port)),
            *("--dir", str(self.data)),
            *("--save", ""),
            *("--databases", str(DATABASES)),
            *("--daemonize", "no"),
        ]

    async def answers(self) -> None:
        import redis.asyncio

        client = redis.asyncio.from_url(self.url)
        try:
            await client.ping()
        finally:
            await client.aclose()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"
