"""MongoDB: documents in collections, through PyMongo's asyncio client.

In a flow:

    connections:
      store:
        type: mongodb
        url: ${env.MONGODB_URL}
        database: shop

    steps:
      - mongo_find:
          id: recent
          connection: store
          collection: orders
          filter: {total: {$gt: "${inputs.minimum}"}}
          sort: {placed: -1}

`flowlang connection example mongodb` writes a whole flow.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.mongodb.provider import MongoDBPlugin

plugin_registry.register(MongoDBPlugin())

__all__ = ["MongoDBPlugin"]
