"""PostgreSQL, through asyncpg.

In a flow:

    connections:
      db:
        type: postgres
        url: ${env.DATABASE_URL}

    steps:
      - pg_query:
          id: recent
          connection: db
          query: SELECT id, total FROM orders WHERE total > ${inputs.minimum}

`flowlang connection example postgres` writes a whole flow.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.postgres.provider import PostgresPlugin

plugin_registry.register(PostgresPlugin())

__all__ = ["PostgresPlugin"]
