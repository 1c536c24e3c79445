"""The Redis connection type.

Each handle of the pool is one link of redis-py, used by one task at a time and handed out first come, first
served. What is stored for a value is said in `values`, what errors mean in `errors`, how the url is read in
`address`; the tasks stand by topic in `tasks`.

There is no `transaction` block: between MULTI and EXEC the server answers nothing but QUEUED, so the steps of a
block could not see what they read, and a command that fails after EXEC undoes nothing. `redis_pipeline` runs
commands together, with nobody in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections._pooled import PooledPlugin
from flowlang.connections.redis.errors import status_of, verdict
from flowlang.connections.redis.tasks import TASKS

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.redis.handle import Handle


class RedisPlugin(PooledPlugin):
    """Redis through redis-py and hiredis."""

    name = "redis"
    description = "Redis or Valkey server"
    version = "1.0.0"
    category = "cache"
    error_table = staticmethod(verdict)
    error_code = staticmethod(status_of)
    shareable = True

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        path = {"type": "string", "minLength": 1}
        return {
            "type": "object",
            "required": ["url"],
            "additionalProperties": False,
            "properties": {
                "url": {
                    "type": "string",
                    "minLength": 1,
                    "description": "`redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix:///path/to/socket`",
                },
                "username": {"type": "string", "minLength": 1, "description": "The user, when `url` names none"},
                "password": {
                    "type": "string",
                    "minLength": 1,
                    "writeOnly": True,
                    "description": "The password, when `url` holds none",
                },
                "database": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "The number of the database, when `url` has none (default: 0)",
                },
                "max_connections": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10000,
                    "default": 50,
                    "description": "Links that may be open at once",
                },
                "decode_responses": {
                    "type": "boolean",
                    "default": True,
                    "description": "Read values as text where they are UTF-8; with `false` always as bytes",
                },
                "socket_timeout": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 3600,
                    "default": 5,
                    "description": "Seconds that connecting, one command, or one pipeline may take",
                },
                "key_prefix": {
                    "type": "string",
                    "maxLength": 1000,
                    "default": "",
                    "description": "Put before every key, so that flows see their own keys only",
                },
                "tls_verify": {
                    "type": "boolean",
                    "default": True,
                    "description": "Check the server's certificate and its name; only with `rediss://`",
                },
                "tls_ca_file": {**path, "description": "File with the authorities to trust, instead of the system's"},
                "tls_cert_file": {**path, "description": "File with the client's own certificate"},
                "tls_key_file": {
                    **path,
                    "writeOnly": False,
                    "description": "File with the key of the client's certificate",
                },
            },
        }

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        from flowlang.connections.redis.address import settings_of

        valid, reason = super().validate_config(config)
        if not valid:
            return valid, reason
        try:
            settings_of(config)
            config.get("key_prefix", "").encode()
        except UnicodeEncodeError:
            return False, "`key_prefix` is no valid Unicode text"
        except ValueError as error:
            return False, str(error)
        return True, None

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.redis.address import place_of

        return (place_of(config),)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    def make_pool(self, config: dict[str, Any]) -> Pool[Handle]:
        from flowlang.connections._pool import Pool
        from flowlang.connections.redis.address import settings_of
        from flowlang.connections.redis.handle import Handle
        from flowlang.connections.redis.values import Keys

        settings, keys = settings_of(config), Keys(config.get("key_prefix", ""))
        decode = config.get("decode_responses", True)
        return Pool(lambda _: Handle(settings, keys, decode=decode), config.get("max_connections", 50))

    async def get_connection(self) -> Handle:
        """A link of the pool that still stands, opened if need be."""
        while True:
            handle: Handle = await super().get_connection()
            if await handle.usable():
                return handle
            await self.discard_connection(handle)  # the server went away, or closed an idle link

    # ── what it can do ──────────────────────────────────────────────────────────────────────────────────────

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        return dict(TASKS)

    def get_dependencies(self) -> list[str]:
        return ["redis[hiredis]>=5.1"]  # before 4.5.4 a caller could get the answer to another's command
