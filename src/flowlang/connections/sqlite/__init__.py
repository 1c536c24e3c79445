"""SQLite: a database in a file or in memory, with nothing to install.

In a flow:

    connections:
      db:
        type: sqlite
        database: orders.db

    steps:
      - sqlite_query:
          id: recent
          connection: db
          query: SELECT id, total FROM orders WHERE total > ${inputs.minimum}

`flowlang connection example sqlite` writes a whole flow.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.sqlite.provider import SQLitePlugin

plugin_registry.register(SQLitePlugin())

__all__ = ["SQLitePlugin"]
