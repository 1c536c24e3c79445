"""HTTP: any service that speaks HTTP/1.1, with its authentication, pages, files and limits.

In a flow:

    connections:
      api:
        type: http
        base_url: https://api.example.com/v1
        auth: {type: bearer, token: "${env.API_TOKEN}"}

    steps:
      - http_get:
          id: order
          connection: api
          path: /orders/${inputs.order}

`flowlang connection example http` writes a whole flow.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.http.provider import HttpPlugin

plugin_registry.register(HttpPlugin())

__all__ = ["HttpPlugin"]
