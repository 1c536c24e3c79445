"""A flow as large as one likes, of what real flows are made of: statements with values bound in them, choices, loops,
branches, texts, descriptions and comments. A block of 13 steps has 56 lines. No two blocks have a statement, an id, a
text or a description in common, so that nothing is gained by remembering what was read before."""

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
  # what customers have asked of {thing} {n} so far
  - sqlite_query:
      id: orders_{n}
      query: |
        SELECT id, total, created_at
        FROM {thing}_{n}
        WHERE customer = ${{inputs.customer}} AND total > ${{inputs.least}}
        ORDER BY total DESC
      limit: {limit}
      outputs: [rows, count]
  - id: facts_{n}
    set:
      label: "{thing} {n} of ${{inputs.customer}}: ${{orders_{n}.count}}"
      busy: ${{orders_{n}.count > {many} and inputs.vip}}
      rows: ${{orders_{n}.rows}}
  - if: ${{facts_{n}.busy}}
    then:
      - sqlite_execute:
          id: mark_{n}
          description: those busy with {thing} {n} are served first
          query: UPDATE customers SET busy = {n} WHERE name = ${{inputs.customer}}
          retry: {{max_attempts: {attempts}, delay: {delay}s}}
      - log: ${{facts_{n}.label}}
    else:
      - sqlite_execute:
          query: UPDATE customers SET idle = {n} WHERE name = ${{inputs.customer}}

  - id: each_{n}
    for_each: ${{orders_{n}.rows}}
    as: order
    do:
      - sqlite_execute:
          id: seen_{n}
          query: >-
            INSERT INTO seen_{thing} (id, position, block, note)
            VALUES (${{order.id}}, ${{index}}, {n}, ${{facts_{n}.label}})
          timeout: {timeout}s
      - if: order.total >= {large}
        then:
          - log: "large one of {thing} {n}: ${{order.id}}"
    collect: ${{order.total}}
  - parallel:
      - sqlite_query:
          id: sum_{n}
          description: what the customer has spent on {thing} {n}
          query: SELECT sum(total) AS sum FROM {thing}_{n} WHERE customer = ${{inputs.customer}}
          timeout: {timeout}s
      - sqlite_query:
          id: lines_{n}
          connection: shop
          query: |
            SELECT product, amount, price
            FROM lines_{n}
            WHERE order_id IN (${{[row.id for row in orders_{n}.rows]}})
          limit: ${{inputs.least * {times}}}
          outputs: [rows]
"""
TAIL = """\
outputs:
  - {{name: total, value: "${{sum_{n}.rows}}"}}
"""
STEPS = 13  # of a block
THINGS = ("books", "chairs", "lamps", "maps", "pens", "shoes", "tables", "tents", "toys", "watches", "wheels")


def _block(n: int) -> str:
    return BLOCK.format(
        n=n, thing=THINGS[n % len(THINGS)], limit=100 + n, many=n % 97, attempts=2 + n % 5, delay=1 + n % 7,
        timeout=5 + n % 50, large=50 + n, times=1 + n % 89,
    )  # fmt: skip


def shop(lines: int, first: int = 0) -> str:
    """A valid flow of about so many lines, never more. Its blocks are numbered from `first`."""
    blocks = (lines - HEAD.count("\n") - TAIL.count("\n")) // BLOCK.count("\n")
    last = TAIL.format(n=first + blocks - 1)
    return HEAD + "".join(map(_block, range(first, first + blocks))) + last
