"""MySQL and MariaDB.

In a flow:

    connections:
      db:
        type: mysql
        host: localhost
        user: shop
        password: ${env.MYSQL_PASSWORD}
        database: shop

    steps:
      - mysql_query:
          id: recent
          connection: db
          query: SELECT id, total FROM orders WHERE total > ${inputs.minimum}

`flowlang connection example mysql` writes a whole flow.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.mysql.provider import MySQLPlugin

plugin_registry.register(MySQLPlugin())

__all__ = ["MySQLPlugin"]
