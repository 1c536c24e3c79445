"""Redis (or Valkey): keys, hashes, lists, sets, sorted sets, streams, locks and messages.

In a flow:

    connections:
      cache:
        type: redis
        url: ${env.REDIS_URL}

    steps:
      - redis_get:
          id: session
          connection: cache
          key: "session:${inputs.user}"

`flowlang connection example redis` writes a whole flow.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.redis.provider import RedisPlugin

plugin_registry.register(RedisPlugin())

__all__ = ["RedisPlugin"]
