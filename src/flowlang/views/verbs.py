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
            ("batch_size", "take so many items at a time, as a list"),
            ("max_failures", "go on after so many failed turns (0)"),
        ),
        '- id: squares\n  for_each: "${[1, 2, 3]}"\n  as: n\n  do:\n    - log: "${n}"\n  collect: "${n * n}"\n',
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
