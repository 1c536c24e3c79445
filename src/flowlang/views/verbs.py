"""The steps that the language itself has: a page for each, with a flow that the tests run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flowlang.records import frozen


@frozen
class Verb:
    """One verb.

    `keys` stand beside each other in the step, `outputs` are what its id holds afterwards. `example` is a whole flow
    that runs as it stands, `result` the JSON text of its outputs; `beside` has the other files it needs, by name.
    """

    name: str
    summary: str
    doc: str
    keys: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    example: str
    result: str
    beside: Mapping[str, str] = MappingProxyType({})


def _verbs(*verbs: Verb) -> dict[str, Verb]:
    return {each.name: each for each in verbs}


VERBS = _verbs(
    Verb(
        "task",
        "Calls a task. `- NAME: {…}` and `- task: NAME` with `inputs` mean the same.",
        "The name is looked up among the tasks of the connection's type first, then among the flow's own tasks and the "
        "file tasks. Every parameter is checked before the run.",
        (
            ("task", "name of the task: a plugin's, a file task, or one of the flow's own"),
            ("inputs", "its parameters"),
            ("connection", "name of a connection; may be left out when only one fits"),
            ("outputs", "the outputs to keep; all when left out"),
        ),
        (("its own", "what the task gives: `flowlang explain TASK` lists it"),),
        """\
flow: count
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_query: {id: one, query: "SELECT 1 AS n"}
  - task: sqlite_query
    id: two
    connection: db
    inputs: {query: "SELECT ${one.rows[0].n} + 1 AS n"}
    outputs: [rows]
outputs:
  - {name: n, value: "${two.rows[0].n}"}
""",
        '{"n": 2}',
    ),
    Verb(
        "set",
        "Computes values; they become `${id.name}`. Later ones see the earlier ones by that id.",
        "A name is given once: a step does not change what another one has set.",
        (("set", "an object of names and values"),),
        (("each name", "its value"),),
        """\
flow: prices
steps:
  - id: price
    set:
      net: 100
      gross: "${price.net * 119 / 100}"
outputs:
  - {name: gross, value: "${price.gross}"}
""",
        '{"gross": 119.0}',
    ),
    Verb(
        "if",
        "Runs the steps of the first condition that holds.",
        "A condition is an expression that gives a boolean; `${…}` around it, or around a part, may be left out. What "
        "only some branches define may be skipped: it is read with `default(…)`, or defined in every branch.",
        (
            ("if", "a condition, or `any`, `all`, `none` with a list of them"),
            ("then", "its steps"),
            ("elif", "a list of `{if, then}`"),
            ("else", "steps when none holds"),
        ),
        (),
        """\
flow: postage
inputs:
  - {name: grams, type: integer, default: 350}
steps:
  - if: inputs.grams <= 20
    then: [{id: price, set: {cents: 95}}]
    elif:
      - if: inputs.grams <= 500
        then: [{id: price, set: {cents: 180}}]
    else: [{id: price, set: {cents: 290}}]
outputs:
  - {name: cents, value: "${price.cents}"}
""",
        '{"cents": 180}',
    ),
    Verb(
        "switch",
        "Runs the first case that equals a value.",
        "1 equals 1.0, and neither equals true. Without a match and without `default` nothing runs.",
        (
            ("switch", "the value"),
            ("cases", "a list of `{when, do}`; `when` is a value or a list of values"),
            ("default", "steps when no case fits; as an item of `cases`, `- default: […]`, too"),
        ),
        (),
        """\
flow: ports
inputs:
  - {name: scheme, type: string, default: https}
steps:
  - switch: "${inputs.scheme}"
    cases:
      - when: [http, ws]
        do: [{id: port, set: {number: 80}}]
      - when: [https, wss]
        do: [{id: port, set: {number: 443}}]
    default:
      - raise: {type: validation, message: "no port is known for ${inputs.scheme}"}
outputs:
  - {name: port, value: "${port.number}"}
""",
        '{"port": 443}',
    ),
    Verb(
        "for_each",
        "Runs steps for each item of a list, an object or a stream.",
        "An object is gone through as items with `key` and `value`. A stream is pulled with backpressure and never "
        "held whole. Ids inside belong to one turn; what the turns leave behind is said by `collect`. With "
        "`max_concurrency` turns run side by side, and results keep the order of the items.",
        (
            ("for_each", "what to go through; a stream is read batch by batch, never whole"),
            ("as", "name of the item (`item`); `index` counts from 0"),
            ("do", "the steps"),
            ("collect", "an expression; afterwards `${id.results}` has its values in order"),
            ("max_concurrency", "how many turns at once (1)"),
            ("batch_size", "take so many items at a time, as a list"),
            ("max_failures", "go on after so many failed turns (0)"),
        ),
        (
            ("count", "turns that ran"),
            ("failed", "turns that failed"),
            ("results", "what `collect` gave, in the order of the items"),
        ),
        """\
flow: squares
steps:
  - id: squares
    for_each: "${[1, 2, 3, 4]}"
    as: n
    max_concurrency: 2
    do:
      - {id: square, set: {value: "${n * n}"}}
    collect: "${square.value}"
outputs:
  - {name: squares, value: "${squares.results}"}
  - {name: turns, value: "${squares.count}"}
""",
        '{"squares": [1, 4, 9, 16], "turns": 4}',
    ),
    Verb(
        "while",
        "Runs steps as long as a condition holds, which is looked at before each turn.",
        "Each turn overwrites what the turn before left under the ids of its steps; before they ran at all there is "
        "nothing, so the condition reads them with `default(…)`.",
        (
            ("while", "the condition; it may read `index` and, with `default`, what the latest turn left"),
            ("do", "the steps; each turn overwrites what the turn before left under their ids"),
            ("max_iterations", "the most turns; needing one more is a failure of class `limit`"),
            ("interval", "time between two turns"),
        ),
        (("count", "turns that ran"),),
        """\
flow: halving
steps:
  - id: halving
    while: default(half.n, 100) > 10
    max_iterations: 20
    do:
      - id: half
        set: {n: "${default(half.n, 100) / 2}"}
outputs:
  - {name: turns, value: "${halving.count}"}
  - {name: rest, value: "${default(half.n, 100)}"}
""",
        '{"turns": 4, "rest": 6.25}',
    ),
    Verb(
        "until",
        "Runs steps until a condition holds, which is looked at after each turn.",
        "The steps run at least once. Behind the loop their ids hold what the last turn left.",
        (
            ("until", "the condition; it reads what this turn left"),
            ("do", "the steps, at least once"),
            ("max_iterations", "the most turns; needing one more is a failure of class `limit`"),
            ("interval", "time between two turns"),
        ),
        (("count", "turns that ran"),),
        """\
flow: polling
steps:
  - id: polling
    until: poll.state == 'ready'
    max_iterations: 10
    interval: 20ms
    do:
      - id: poll
        set: {state: "${'ready' if index >= 2 else 'busy'}"}
outputs:
  - {name: state, value: "${poll.state}"}
  - {name: turns, value: "${polling.count}"}
""",
        '{"state": "ready", "turns": 3}',
    ),
    Verb(
        "parallel",
        "Runs branches side by side and waits for all. A branch cannot read a sibling.",
        "Behind the step the ids of all branches are there. The first failure cancels the other branches; with "
        "`fail_fast: false` they run on, and the failure follows when all are over. An `exit` in a branch cancels the "
        "others and ends the run.",
        (
            ("parallel", "a list of steps; `- do: […]` makes one branch of several"),
            ("max_concurrency", "how many at once; all when left out"),
            ("fail_fast", "whether the first failure cancels the others (true)"),
        ),
        (),
        """\
flow: two sides
steps:
  - parallel:
      - {id: left, set: {n: 20}}
      - do:
          - {id: half, set: {n: 11}}
          - {id: right, set: {n: "${half.n * 2}"}}
outputs:
  - {name: sum, value: "${left.n + right.n}"}
""",
        '{"sum": 42}',
    ),
    Verb(
        "transaction",
        "Runs steps in one transaction of a database: all that they do on that connection is kept, or nothing.",
        "The steps on that connection share one handle. The end of the block commits; a failure, a time limit or a "
        "cancellation rolls back. Steps on other connections are not part of it.",
        (("transaction", "name of the connection"), ("do", "the steps")),
        (),
        """\
flow: booking
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_execute: {query: "CREATE TABLE account (name TEXT, cents INTEGER CHECK (cents >= 0))"}
  - sqlite_execute: {query: "INSERT INTO account VALUES ('Ada', 500), ('Bob', 0)"}
  - transaction: db
    continue_on_error: true
    do:
      - sqlite_execute: {query: "UPDATE account SET cents = cents + 900 WHERE name = 'Bob'"}
      - sqlite_execute: {query: "UPDATE account SET cents = cents - 900 WHERE name = 'Ada'"} # refused
  - sqlite_query: {id: left, query: "SELECT name, cents FROM account ORDER BY name"}
outputs:
  - {name: accounts, value: "${left.rows}"}
""",
        '{"accounts": [{"name": "Ada", "cents": 500}, {"name": "Bob", "cents": 0}]}',
    ),
    Verb(
        "subflow",
        "Runs another flow file as a step; its outputs become the step's.",
        "A subflow has a scope and connections of its own. Its inputs and outputs are checked against what it "
        "declares, and a flow that calls itself is found by the check.",
        (
            ("subflow", "its name or path, from this file's folder"),
            ("inputs", "its inputs"),
            ("outputs", "those to keep"),
        ),
        (("its own", "the outputs that the subflow declares"),),
        """\
flow: newsletter
steps:
  - subflow: letter.yaml
    id: letter
    inputs: {name: Ada}
outputs:
  - {name: text, value: "${letter.text}"}
""",
        '{"text": "Dear Ada"}',
        MappingProxyType(
            {
                "letter.yaml": """\
flow: letter
inputs:
  - {name: name, type: string, required: true}
steps:
  - {id: letter, set: {text: "Dear ${inputs.name}"}}
outputs:
  - {name: text, type: string, value: "${letter.text}"}
"""
            }
        ),
    ),
    Verb(
        "try",
        "Runs steps, hands their failure to the first handler that fits it, and cleans up in any case.",
        "A failure that no handler fits goes on. A cancellation is never caught. What `try` defines may be missing "
        "behind it, unless every handler ends the flow.",
        (
            ("try", "the steps"),
            (
                "catch",
                "a list of `{on, if, as, do}`: error classes (or any), a condition, a name for the error",
            ),
            ("finally", "steps that run in any case, also after `exit` and when the run is cancelled"),
        ),
        (),
        """\
flow: settings
steps:
  - try:
      - json_read: {id: file, path: no-such-file.json}
      - {id: settings, set: {colour: "${file.value.colour}"}}
    catch:
      - on: [not_found]
        as: trouble
        do:
          - {id: settings, set: {colour: blue}}
          - log: "${trouble.type}: the usual settings are taken"
    finally:
      - log: the settings are known
outputs:
  - {name: colour, value: "${default(settings.colour, 'none')}"}
""",
        '{"colour": "blue"}',
    ),
    Verb(
        "wait",
        "Waits for a while, until a time, or for a signal from outside.",
        "While it waits, connections are back in their pools. A time that has passed does not wait at all. A signal "
        "that comes before the step is kept for it; without one within `timeout` the step fails with class `timeout`.",
        (("wait", "a duration, `{until: a timestamp}`, or `{signal: name, timeout}`"),),
        (("payload", "of a signal: what was sent with it"),),
        """\
flow: patience
steps:
  - id: began
    set: {at: "${now()}"}
  - wait: 20ms
  - wait: {until: "${began.at + duration('40ms')}"}
  - id: over
    set: {patient: "${now() - began.at >= duration('40ms')}"}
outputs:
  - {name: patient, value: "${over.patient}"}
""",
        '{"patient": true}',
    ),
    Verb(
        "exit",
        "Ends the flow early, with success unless it says otherwise.",
        "`- exit` alone and `- exit: REASON` will do. In a subflow it ends the subflow. The run has the outputs that "
        "the step states, or none.",
        (("reason", "why"), ("status", "`success` or `failure`"), ("outputs", "in place of the flow's own")),
        (),
        """\
flow: early
inputs:
  - {name: rows, type: array, default: []}
steps:
  - if: len(inputs.rows) == 0
    then:
      - exit: {reason: nothing to do, outputs: {done: 0}}
  - log: there is something to do
outputs:
  - {name: done, value: "${len(inputs.rows)}"}
""",
        '{"done": 0}',
    ),
    Verb(
        "raise",
        "Fails on purpose.",
        "The failure is like any other: it can be caught, handled by `on_error`, and retried.",
        (("type", "an error class (`task`)"), ("message", "what is wrong")),
        (),
        """\
flow: strict
inputs:
  - {name: amount, type: integer, default: -5}
steps:
  - if: inputs.amount < 0
    id: check
    then:
      - raise: {type: validation, message: "an amount of ${inputs.amount} cannot be booked"}
    on_error:
      - {id: told, set: {text: "${error.detail}"}}
outputs:
  - {name: told, value: "${default(told.text, 'all is well')}"}
""",
        '{"told": "an amount of -5 cannot be booked"}',
    ),
    Verb(
        "log",
        "Writes a message, with known secrets masked.",
        "It goes to the logger `flowlang.run` and, as an event, to everyone who listens to the run.",
        (("log", "the text"),),
        (),
        """\
flow: greeting
inputs:
  - {name: who, type: string, default: world}
steps:
  - log: Hello, ${inputs.who}!
""",
        "{}",
    ),
)
