"""A flow that uses every verb and modifier, as a model."""

from __future__ import annotations

from flowlang.document import model
from flowlang.document.parse import parse_flow

TEXT = """
flow: everything
description: Every verb of the language in one flow
connections:
  db: {type: sqlite, database: ":memory:"}
  cache: {type: redis}
inputs:
  - {name: tier, type: string, required: true}
  - {name: ids, type: array}
steps:
  - sqlite_query: {id: users, connection: db, query: SELECT 1, retry: 3, timeout: 10s}
  - if: inputs.tier == 'gold' and len(users.rows) > 3
    then:
      - redis_get: {id: hit, connection: cache, key: a, if: inputs.tier != 'x'}
      - log: found it
    elif:
      - if: inputs.tier == 'silver'
        then: [{exit: {reason: nothing to do for silver}}]
    else:
      - raise: {type: not_found, message: "no tier ${inputs.tier}"}
  - switch: "${inputs.tier}"
    cases:
      - {when: gold, do: [{log: one}]}
      - {when: [silver, bronze], do: [{log: two}, {log: three}]}
  - id: many
    for_each: "${inputs.ids}"
    do:
      - parallel:
          - do: [{log: sent}, {log: received}]
          - log: aside
        on_error:
          - log: "failed: ${error.detail}"
      - subflow: parts/notify.yaml
        id: told
  - id: safe
    try:
      - transaction: db
        do: [{log: in a transaction}, {sqlite_execute: {id: put, connection: db, query: "INSERT"}}]
    catch:
      - on: [timeout, unavailable]
        do: [{log: it timed out}]
      - if: inputs.tier == 'gold'
        as: problem
        do: [{raise: {message: give up}}]
    finally: [{log: tidy up}]
  - id: poll
    until: inputs.tier == 'gold'
    max_iterations: 10
    interval: 5s
    do:
      - wait: {signal: approved, timeout: 1h}
        if: inputs.tier == 'gold'
  - id: again
    while: inputs.tier == 'gold'
    max_iterations: 3
    do:
      - wait: {until: "${now()}"}
      - wait: "${inputs.ids}"
  - id: total
    set: {done: 1}
on_cancel: [{log: cancelled}]
finally:
  - sqlite_execute: {id: clean, connection: db, query: DELETE, continue_on_error: true}
outputs:
  - {name: n, type: integer, value: 1}
"""


def every() -> model.Flow:
    flow, _ = parse_flow(TEXT, "everything.yaml")
    assert flow is not None
    return flow
