"""A flow as large as one likes, of what real flows are made of: statements with values bound in them, choices, loops,
branches, texts, descriptions and comments. A block of 13 steps has 56 lines."""

from __future__ import annotations

HEAD = """\
flow: shop
description: Orders of a shop, as many as it takes
connections:
  shop: {type: sqlite, database: ":memory:"}
inputs:
  - {name: customer, type: string, required: true}
  - {name: least, type: integer, default: 10}
  - {name: vip, type: boolean, default: false}
defaults: {timeout: 30s}
steps:
"""
BLOCK = """\
  # what the customer has ordered so far
  - sqlite_query:
      id: orders_{n}
      query: |
        SELECT id, total, created_at
        FROM orders
        WHERE customer = ${{inputs.customer}} AND total > ${{inputs.least}}
        ORDER BY total DESC
      limit: 100
      outputs: [rows, count]
  - id: facts_{n}
    set:
      label: "Orders of ${{inputs.customer}}: ${{orders_{n}.count}}"
      busy: ${{orders_{n}.count > 10 and inputs.vip}}
      rows: ${{orders_{n}.rows}}
  - if: ${{facts_{n}.busy}}
    then:
      - sqlite_execute:
          id: mark_{n}
          description: busy customers are served first
          query: UPDATE customers SET busy = 1 WHERE name = ${{inputs.customer}}
          retry: {{max_attempts: 3, delay: 2s}}
      - log: ${{facts_{n}.label}}
    else:
      - sqlite_execute:
          query: UPDATE customers SET busy = 0 WHERE name = ${{inputs.customer}}

  - id: each_{n}
    for_each: ${{orders_{n}.rows}}
    as: order
    do:
      - sqlite_execute:
          id: seen_{n}
          query: >-
            INSERT INTO seen (id, position, note)
            VALUES (${{order.id}}, ${{index}}, ${{facts_{n}.label}})
          timeout: 5s
      - if: order.total >= 100
        then:
          - log: "large order ${{order.id}}"
    collect: ${{order.total}}
  - parallel:
      - sqlite_query:
          id: sum_{n}
          description: what the customer has spent
          query: SELECT sum(total) AS sum FROM orders WHERE customer = ${{inputs.customer}}
          timeout: 10s
      - sqlite_query:
          id: lines_{n}
          connection: shop
          query: |
            SELECT product, amount, price
            FROM lines
            WHERE order_id IN (${{[row.id for row in orders_{n}.rows]}})
          limit: ${{inputs.least * 2}}
          outputs: [rows]
"""
TAIL = """\
outputs:
  - {{name: total, value: "${{sum_{n}.rows}}"}}
"""
STEPS = 13  # of a block


def shop(lines: int) -> str:
    """A valid flow of about so many lines, never more."""
    blocks = (lines - HEAD.count("\n") - TAIL.count("\n")) // BLOCK.count("\n")
    last = TAIL.format(n=blocks - 1)
    return HEAD + "".join([BLOCK.format(n=number) for number in range(blocks)]) + last
