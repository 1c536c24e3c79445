"""The steps that the language itself has: a page for each, with an example that the tests check."""

from __future__ import annotations

from flowlang.records import frozen


@frozen
class Verb:
    """`example` is a list of steps in YAML, valid in a flow with, where they name it, a SQLite connection `db`."""

    name: str
    summary: str
    keys: tuple[tuple[str, str], ...]
    example: str


def _verbs(*verbs: Verb) -> dict[str, Verb]:
    return {each.name: each for each in verbs}


VERBS = _verbs(
    Verb(
        "task",
        "Calls a task. `- NAME: {…}` and `- task: NAME` with `inputs` mean the same.",
        (
            ("task", "name of the task: a plugin's, a file task, or one of the flow's own"),
            ("inputs", "its parameters"),
            ("connection", "name of a connection; may be left out when only one fits"),
            ("outputs", "the outputs to keep; all when left out"),
        ),
        "- task: json_read\n  id: settings\n  inputs: {path: settings.json}\n",
    ),
    Verb(
        "set",
        "Computes values; they become `${id.name}`. Later ones see the earlier ones by that id.",
        (("set", "an object of names and values"),),
        '- id: price\n  set:\n    net: 100\n    gross: "${price.net * 119 / 100}"\n',
    ),
    Verb(
        "if",
        "Runs the steps of the first condition that holds.",
        (
            ("if", "a condition, or `any`, `all`, `none` with a list of them"),
            ("then", "its steps"),
            ("elif", "a list of `{if, then}`"),
            ("else", "steps when none holds"),
        ),
        "- if: 2 > 1\n  then:\n    - log: as expected\n  else:\n    - raise: {type: internal, message: no}\n",
    ),
    Verb(
        "switch",
        "Runs the first case that equals a value.",
        (
            ("switch", "the value"),
            ("cases", "a list of `{when, do}`; `when` is a value or a list of values"),
            ("default", "steps when no case fits"),
        ),
        '- switch: "${run.trigger}"\n  cases:\n    - when: manual\n      do: [{log: by hand}]\n  default:\n'
        "    - log: by itself\n",
    ),
    Verb(
        "for_each",
        "Runs steps for each item of a list, an object or a stream.",
        (
            ("for_each", "what to go through; a stream is read batch by batch, never whole"),
            ("as", "name of the item (`item`); `index` counts from 0"),
            ("do", "the steps"),
            ("collect", "an expression; afterwards `${id.results}` has its values in order"),
            ("max_concurrency", "how many turns at once (1)"),
            ("batch_size", "take so many items at a time, as a list"),
            ("max_failures", "go on after so many failed turns (0)"),
        ),
        '- id: squares\n  for_each: "${[1, 2, 3]}"\n  as: n\n  do:\n    - log: "${n}"\n  collect: "${n * n}"\n',
    ),
    Verb(
        "while",
        "Runs steps as long as a condition holds, which is looked at before each turn.",
        (
            ("while", "the condition; it may read `index` and, with `default`, what the latest turn left"),
            ("do", "the steps; each turn overwrites what the turn before left under their ids"),
            ("max_iterations", "the most turns; needing one more is a failure of class `limit`"),
            ("interval", "time between two turns"),
        ),
        "- id: halving\n  while: default(half.n, 100) > 10\n  max_iterations: 20\n  do:\n    - id: half\n"
        '      set: {n: "${default(half.n, 100) / 2}"}\n- log: "after ${halving.count} turns"\n',
    ),
    Verb(
        "until",
        "Runs steps until a condition holds, which is looked at after each turn.",
        (
            ("until", "the condition; it reads what this turn left"),
            ("do", "the steps, at least once"),
            ("max_iterations", "the most turns; needing one more is a failure of class `limit`"),
            ("interval", "time between two turns"),
        ),
        "- until: poll.done\n  max_iterations: 10\n  interval: 250ms\n  do:\n    - id: poll\n"
        '      set: {done: "${index >= 1}"}\n',
    ),
    Verb(
        "parallel",
        "Runs branches side by side and waits for all. A branch cannot read a sibling.",
        (
            ("parallel", "a list of steps; `- do: […]` makes one branch of several"),
            ("max_concurrency", "how many at once; all when left out"),
            ("fail_fast", "whether the first failure cancels the others (true)"),
        ),
        "- parallel:\n    - log: one\n    - do:\n        - log: two\n        - log: three\n",
    ),
    Verb(
        "transaction",
        "Runs steps in one transaction of a database: all that they do on that connection is kept, or nothing.",
        (("transaction", "name of the connection"), ("do", "the steps")),
        "- transaction: db\n  do:\n    - sqlite_execute: {query: UPDATE stock SET left = left - 1 WHERE item = 7}\n"
        "    - sqlite_execute: {query: INSERT INTO sold (item) VALUES (7)}\n",
    ),
    Verb(
        "subflow",
        "Runs another flow file as a step; its outputs become the step's.",
        (("subflow", "its path, from this file's folder"), ("inputs", "its inputs"), ("outputs", "those to keep")),
        "- subflow: letter.yaml\n  id: letter\n  inputs: {name: Ada}\n",
    ),
    Verb(
        "try",
        "Runs steps, hands their failure to the first handler that fits it, and cleans up in any case.",
        (
            ("try", "the steps"),
            (
                "catch",
                "a list of `{on, if, as, do}`: error classes (or any), a condition, a name for the error",
            ),
            ("finally", "steps that run in any case, also after `exit` and when the run is cancelled"),
        ),
        "- try:\n    - json_read: {id: settings, path: settings.json}\n  catch:\n    - on: [not_found]\n      do:\n"
        '        - log: "no settings: ${error.detail}"\n  finally:\n    - log: looked for settings\n',
    ),
    Verb(
        "wait",
        "Waits for a while, until a time, or for a signal from outside.",
        (("wait", "a duration, `{until: a timestamp}`, or `{signal: name, timeout}`, which gives `${id.payload}`"),),
        "- wait: 250ms\n- wait: {until: \"${now() + duration('250ms')}\"}\n",
    ),
    Verb(
        "exit",
        "Ends the flow early, with success unless it says otherwise.",
        (("reason", "why"), ("status", "`success` or `failure`"), ("outputs", "in place of the flow's own")),
        "- exit: {reason: nothing to do}\n",
    ),
    Verb(
        "raise",
        "Fails on purpose.",
        (("type", "an error class (`task`)"), ("message", "what is wrong")),
        "- raise: {type: not_found, message: the order does not exist}\n",
    ),
    Verb("log", "Writes a message, with known secrets masked.", (("log", "the text"),), "- log: it is going well\n"),
)
