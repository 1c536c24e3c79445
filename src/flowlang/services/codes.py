"""The kinds of finding about service files, each with its page. What they share with flows has the codes of flows."""

from __future__ import annotations

from flowlang.diagnostics import code

CREDENTIAL = code(
    "service-credential",
    """A credential is written into a service file.

    A service file describes a service for everybody who uses it; who asks is the business of each connection. Declare a
    setting with `secret: true` under `config`, and read it: `${config.token}`.

    ```yaml wrong service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    base_url: https://api.acme.example
    auth: {type: bearer, token: s3cr3t}
    operations:
      order:
        description: One order.
        request: {path: /order}
    ```

    ```yaml service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    config:
      - {name: token, type: string, secret: true, required: true, description: The token}
    base_url: https://api.acme.example
    auth: {type: bearer, token: "${config.token}"}
    operations:
      order:
        description: One order.
        request: {path: /order}
    ```
    """,
)
SECRET_SHOWN = code(
    "service-secret",
    """A secret setting of a service goes where it would be seen.

    Addresses are written into logs on their way, and outputs are stored and shown. A credential belongs to `auth`, or
    into a header.

    ```yaml wrong service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    config:
      - {name: token, type: string, secret: true, required: true, description: The token}
    base_url: https://api.acme.example
    operations:
      order:
        description: One order.
        request: {path: /order, query: {token: "${config.token}"}}
    ```

    ```yaml service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    config:
      - {name: token, type: string, secret: true, required: true, description: The token}
    base_url: https://api.acme.example
    auth: {type: api_key, in: query, name: token, key: "${config.token}"}
    operations:
      order:
        description: One order.
        request: {path: /order}
    ```
    """,
)
SHAPE = code(
    "service-operation",
    """An operation of a service is put together in a way that does not work.

    Pages are read one after the other and make one stream, so that an operation with `pages` has one output, which is
    computed for each `${item}`. With `batches` there is a reply for each batch: lists of them are joined and numbers
    added up, so that each output declares `type: array`, `integer` or `number`. The two do not go together. A parameter
    may not be called `connection` or `context`, and a setting not as one that every service has (`timeout`, …).

    ```yaml wrong service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    base_url: https://api.acme.example
    operations:
      create:
        description: Create orders, ten at a time.
        params:
          - {name: orders, type: array, required: true, description: The orders}
        request: {method: POST, path: /orders, json: {orders: "${batch}"}}
        batches: {of: "${params.orders}", size: 10}
        outputs:
          - {name: last, value: "${body.last}", type: object, description: The last order}
    ```

    ```yaml service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    base_url: https://api.acme.example
    operations:
      create:
        description: Create orders, ten at a time.
        params:
          - {name: orders, type: array, required: true, description: The orders}
        request: {method: POST, path: /orders, json: {orders: "${batch}"}}
        batches: {of: "${params.orders}", size: 10}
        outputs:
          - {name: orders, value: "${body.orders}", type: array, description: The orders as they are kept}
    ```
    """,
)
BAD_ADDRESS = code(
    "service-address",
    """The address of a service is no URL that requests could go to.

    `base_url` begins with `https://` or `http://` and holds neither a user nor a query. What differs from one
    connection to the next is a setting: `https://${config.subdomain}.example.com`.

    ```yaml wrong service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    base_url: api.acme.example
    operations:
      order:
        description: One order.
        request: {path: /order}
    ```

    ```yaml service
    service: acme
    kind: http
    version: 1.0.0
    description: Orders of Acme
    base_url: https://api.acme.example
    operations:
      order:
        description: One order.
        request: {path: /order}
    ```
    """,
)
