"""A flow that uses every verb and modifier, as a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
  - for_each: "${inputs.ids}"
    do: [{log: in a transaction}, {sqlite_execute: {id: put, connection: db, query: "INSERT"}}]
  - for_each: "${inputs.ids}"
    do: [{log: it timed out}]
  - for_each: "${inputs.ids}"
    do: [{raise: {message: give up}}]
  - for_each: "${inputs.ids}"
    do: [{log: tidy up}]
  - id: total
    set: {done: 1}
on_cancel: [{log: cancelled}]
finally:
  - sqlite_execute: {id: clean, connection: db, query: DELETE, continue_on_error: true}
outputs:
  - {name: n, type: integer, value: 1}
"""


def every() -> model.Flow:
    """The flow. Its four bare loops stand for what the verbs of `plan.py` and `model.py` hold: they become a `try`
    around a transaction with two handlers and a `finally`, and an `until` and a `while` around waits."""
    flow, _ = parse_flow(TEXT, "everything.yaml")
    assert flow is not None
    bare = [each for each in flow.steps if isinstance(each, model.ForEachStep) and each.modifiers.id is None]
    body, late, failed, tidy = (each.body for each in bare)
    choice: Any = next(each for each in flow.steps if isinstance(each, model.IfStep))
    guard, span = choice.branches[0][0], choice.span
    items = bare[0].items

    def name(text: str) -> model.Name:
        return model.Name(text, span)

    plain = model.Modifiers()
    transaction = model.TransactionStep(name("db"), body, plain, span)
    catches = (
        model.Catch((name("timeout"), name("unavailable")), None, None, late, span),
        model.Catch((), guard, name("problem"), failed, span),
    )
    tried = model.TryStep((transaction,), catches, tidy, model.Modifiers(id=name("safe")), span)
    signal = model.WaitStep(None, None, name("approved"), 3600.0, model.Modifiers(guard=guard), span)
    moment = model.WaitStep(None, items, None, None, plain, span)
    pause = model.WaitStep(items, None, None, None, plain, span)
    polled = model.RepeatStep("until", guard, (signal,), 10, 5.0, model.Modifiers(id=name("poll")), span)
    again = model.RepeatStep("while", guard, (moment, pause), 3, 0.0, model.Modifiers(id=name("again")), span)
    kept = [each for each in flow.steps if each not in bare]
    return replace(flow, steps=(*kept[:-1], tried, polled, again, kept[-1]))
