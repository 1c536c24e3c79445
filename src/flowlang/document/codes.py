"""The kinds of finding about what a flow file says, each with its page."""

from __future__ import annotations

from flowlang.diagnostics import code
from flowlang.expressions import codes as expression_codes

BAD_PATTERN = expression_codes.BAD_PATTERN  # the same finding, in a declaration and in an expression
UNKNOWN_KEY = code(
    "unknown-key",
    """A key that this place does not know.

    Every object of a flow has a fixed set of keys, so that a mistyped one is not silently without effect.

    ```yaml wrong
    flow: f
    step:
      - log: Hello
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    ```
    """,
    fix="certain",
)
MISSING_KEY = code(
    "missing-key",
    """A key that must be there is not.

    ```yaml wrong
    flow: f
    steps:
      - log: Hello
    outputs:
      - {name: total}
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    outputs:
      - {name: total, value: 1}
    ```
    """,
)
WRONG_TYPE = code(
    "wrong-type",
    """A value is not of the kind that its key expects.

    YAML 1.2 knows `true` and `false` only: `yes`, `no`, `on` and `off` are text. Quoted numbers are text, too.

    ```yaml wrong
    flow: f
    connections:
      db: {type: sqlite, database: orders.db, lazy: no}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```

    ```yaml
    flow: f
    connections:
      db: {type: sqlite, database: orders.db, lazy: false}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
    ```
    """,
    fix="certain",
)
NOT_CONSTANT = code(
    "not-constant",
    """An expression stands where only a written value can.

    Time limits, numbers of attempts, names of tasks and connections are fixed before the run.

    ```yaml wrong
    flow: f
    inputs:
      - {name: limit, type: duration, default: 30s}
    steps:
      - log: Hello
        timeout: ${inputs.limit}
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
        timeout: 30s
    ```
    """,
)
DURATION = code(
    "not-a-duration",
    """A text is not a length of time.

    There are `250ms`, `5s`, `2m`, `1h`, `1d`, ISO 8601 (`PT5S`) and plain numbers, which are seconds.

    ```yaml wrong
    flow: f
    steps:
      - log: Hello
        timeout: 5 seconds
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
        timeout: 5s
    ```
    """,
    fix="certain",
)
UNKNOWN_WORD = code(
    "unknown-word",
    """A value is not one of the words that its key knows.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute:
          query: DELETE FROM orders
          retry: {backoff: exponentional}
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute:
          query: DELETE FROM orders
          retry: {backoff: exponential}
    ```
    """,
    fix="certain",
)
OUT_OF_RANGE = code(
    "out-of-range",
    """A number is smaller or larger than its key allows.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute:
          query: DELETE FROM orders
          retry: {max_attempts: 0}      # the first attempt counts
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute:
          query: DELETE FROM orders
          retry: {max_attempts: 1}
    ```
    """,
)
BAD_NAME = code(
    "bad-name",
    """A name cannot be used in expressions.

    Names of steps, inputs, loop variables and connections consist of letters, digits and `_`, do not begin with
    a digit or `_`, and are neither a word of the expression language nor a root such as `inputs`.

    ```yaml wrong
    flow: f
    steps:
      - id: fetch-user      # `${fetch-user.name}` would subtract
        set: {name: Ann}
      - log: "${fetch-user.name}"
    ```

    ```yaml
    flow: f
    steps:
      - id: fetch_user
        set: {name: Ann}
      - log: "${fetch_user.name}"
    ```
    """,
    fix="guess",
)
LOOKALIKE = code(
    "look-alike-name",
    """A name mixes letters of several alphabets, so that it looks like another name.

    Cyrillic and Greek have letters that cannot be told from Latin ones. Write the name in one alphabet.

    ```yaml wrong
    flow: f
    steps:
      - id: r\u0435ad      # the second letter is a Cyrillic one
        set: {name: Ann}
    ```

    ```yaml
    flow: f
    steps:
      - id: read
        set: {name: Ann}
    ```
    """,
)
ALREADY_DEFINED = code(
    "already-defined",
    """A name is given twice.

    Each step of a flow has its own id, except in branches of one `if` or `switch`, of which only one runs. Inputs,
    outputs and connections have names of their own, too.

    ```yaml wrong
    flow: f
    steps:
      - {id: a, set: {n: 1}}
      - {id: a, set: {n: 2}}
    ```

    ```yaml
    flow: f
    steps:
      - {id: a, set: {n: 1}}
      - {id: b, set: {n: 2}}
    ```
    """,
)
GIVEN_TWICE = code(
    "given-twice",
    """A part of a step is written in two places.

    Modifiers may stand inside or beside the key of a task, parameters inside it or in its `inputs`: in one of them.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders, timeout: 5s}
        timeout: 10s
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute: {query: DELETE FROM orders}
        timeout: 10s
    ```
    """,
)
NO_VERB = code(
    "no-verb",
    """A step does nothing.

    A step has the name of a task, `task`, or one of `set`, `if`, `switch`, `for_each`, `while`, `until`, `parallel`,
    `transaction`, `try`, `wait`, `subflow`, `exit`, `raise` and `log`.

    ```yaml wrong
    flow: f
    steps:
      - id: greet
    ```

    ```yaml
    flow: f
    steps:
      - id: greet
        log: Hello
    ```
    """,
)
SEVERAL_VERBS = code(
    "several-verbs",
    """A step does more than one thing.

    One step has one task or verb. Begin the second with a dash of its own.

    ```yaml wrong
    flow: f
    steps:
      - log: Hello
        set: {a: 1}
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
      - set: {a: 1}
    ```
    """,
)
CRON = code(
    "bad-cron",
    """A text is no cron expression.

    It has five fields: minute, hour, day of the month, month, day of the week; or it is one of `@hourly`, `@daily`,
    `@weekly`, `@monthly`, `@yearly`. There are no seconds.

    ```yaml wrong
    flow: f
    triggers:
      - schedule: {cron: "0 24 * * *"}
    steps:
      - log: Hello
    ```

    ```yaml
    flow: f
    triggers:
      - schedule: {cron: "0 0 * * *"}
    steps:
      - log: Hello
    ```
    """,
    fix="guess",
)
TIME_ZONE = code(
    "unknown-time-zone",
    """A time zone has a name that nobody knows.

    Zones are named as in the IANA database, by a continent and a city. Abbreviations mean different zones in different
    countries.

    ```yaml wrong
    flow: f
    triggers:
      - schedule: {cron: "@daily", timezone: Oslo}
    steps:
      - log: Hello
    ```

    ```yaml
    flow: f
    triggers:
      - schedule: {cron: "@daily", timezone: Europe/Oslo}
    steps:
      - log: Hello
    ```
    """,
    fix="guess",
)
WEBHOOK_PATH = code(
    "bad-path",
    """A text is no path of a webhook.

    It begins with `/`, and between slashes stand letters, digits and `-`, `_`, `.`, `~`. It has no query.

    ```yaml wrong
    flow: f
    triggers:
      - webhook: {path: "new order?", auth: none}
    steps:
      - log: Hello
    ```

    ```yaml
    flow: f
    triggers:
      - webhook: {path: /new-order, auth: none}
    steps:
      - log: Hello
    ```
    """,
    fix="guess",
)
COMPUTED_KEY = code(
    "computed-key",
    """An expression stands in a key, where nothing is computed.

    Keys are fixed. Build an object with computed keys in an expression:

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - set:
          payload: {"${inputs.name}": 1}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - set:
          payload: "${{inputs.name: 1}}"
    ```
    """,
)
NOT_AN_EXPRESSION = code(
    "not-computed",
    """Text stands where only a computed value makes sense.

    Outside conditions only what stands in `${…}` is computed.

    ```yaml wrong
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - for_each: inputs.rows
        do: [{log: "${index}"}]
    ```

    ```yaml
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - for_each: ${inputs.rows}
        do: [{log: "${index}"}]
    ```
    """,
)
UNUSED_DEFAULT = code(
    "unused-default",
    """A default is never used.

    A required input is always given, so its default is never read. Remove one of the two.

    ```yaml wrong
    flow: f
    inputs:
      - {name: n, type: integer, required: true, default: 5}
    steps:
      - log: "${inputs.n}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: n, type: integer, default: 5}
    steps:
      - log: "${inputs.n}"
    ```
    """,
    fix="guess",
)
BAD_DEFAULT = code(
    "bad-default",
    """A default breaks the rules of its own input.

    ```yaml wrong
    flow: f
    inputs:
      - {name: n, type: integer, default: many}
    steps:
      - log: "${inputs.n}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: n, type: integer, default: 5}
    steps:
      - log: "${inputs.n}"
    ```
    """,
    fix="certain",
)
BAD_RULE = code(
    "bad-rule",
    """A rule of an input cannot be met, or does not fit its type.

    `minimum` and `maximum` are for numbers, `pattern` for strings, `min_length` and `max_length` for strings and
    arrays, `items` for arrays, `properties` for objects; a minimum is not above its maximum.

    ```yaml wrong
    flow: f
    inputs:
      - {name: n, type: integer, required: true, minimum: 10, maximum: 1}
    steps:
      - log: "${inputs.n}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: n, type: integer, required: true, minimum: 1, maximum: 10}
    steps:
      - log: "${inputs.n}"
    ```
    """,
)
