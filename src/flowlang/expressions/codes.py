"""The kinds of finding that expressions give rise to, each with its page."""

from __future__ import annotations

from flowlang.diagnostics import code

UNTERMINATED = code(
    "expression-unterminated",
    """An expression is opened and never closed.

    `${` begins an expression and the `}` that belongs to it ends it; quotes and brackets in between must be closed too.

    Write `$${` for the two characters `${` themselves.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.name"      # the brace is missing
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.name}"
    ```
    """,
)
SYNTAX = code(
    "expression-syntax",
    """The text is not an expression.

    What stands inside `${…}` is one expression in a restricted form of Python.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: ${inputs.name inputs.name}      # two values side by side
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: ${inputs.name + ' ' + inputs.name}
    ```
    """,
)
LIMIT = code(
    "expression-limit",
    """An expression is larger than expressions may be.

    The bounds are 4 KiB of text, 800 parts and 60 levels. Name a part of it with a `set` step, or move the work
    into a task.
    """,
)
OPERATOR = code(
    "unknown-operator",
    """An operator that expressions do not have.

    There are `+ - * / // %`, `== != < <= > >=`, `in`, `and`, `or`, `not` and `a if c else b`.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${inputs.name == 'a' || inputs.name == 'b'}
        then: [{log: Hello}]
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${inputs.name == 'a' or inputs.name == 'b'}
        then: [{log: Hello}]
    ```
    """,
    fix="guess",
)
FORM = code(
    "unsupported-form",
    """A form of Python that expressions leave out.

    There are literals, paths, operators, calls of the functions of the table, list and object displays and
    comprehensions. No lambda, no assignment, no f-string, no star-argument, no set, no tuple.

    ```yaml wrong
    flow: f
    steps:
      - set: {pair: "${(1, 2)}"}
    ```

    ```yaml
    flow: f
    steps:
      - set: {pair: "${[1, 2]}"}
    ```
    """,
)
METHOD = code(
    "method-call",
    """Values have no methods.

    A dot looks up a key of an object and does nothing else. What a method would do, a function does.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${inputs.name.startswith('a')}
        then: [{log: Hello}]
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${starts_with(inputs.name, 'a')}
        then: [{log: Hello}]
    ```
    """,
)
PRIVATE = code(
    "private-name",
    """A name that begins with `_` follows a dot.

    Such a key is looked up in brackets, where it cannot be taken for something of Python's.

    ```yaml wrong
    flow: f
    inputs:
      - {name: document, type: object, required: true}
    steps:
      - set: {key: "${inputs.document._id}"}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: document, type: object, required: true}
    steps:
      - set: {key: "${inputs.document['_id']}"}
    ```
    """,
)
QUOTED = code(
    "quoted-expression",
    """`${…}` stands inside quotes of an expression, where it is plain text.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: "'${inputs.name}' == 'Ann'"      # compares two texts that never change
        then: [{log: Hello}]
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${inputs.name} == 'Ann'
        then: [{log: Hello}]
    ```
    """,
)
FOREIGN = code(
    "foreign-template",
    """`{{ … }}` is plain text here.

    Other systems fill it in; FlowLang fills in `${…}`.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "{{ inputs.name }}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.name}"
    ```
    """,
    fix="guess",
)
UNKNOWN_NAME = code(
    "unknown-name",
    """A name that means nothing at this place.

    An expression begins with a root (`inputs`, `vars`, `run`, …), the id of a step above it, or the name of a
    loop variable around it.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${input.name}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.name}"
    ```
    """,
    fix="guess",
)
UNKNOWN_OUTPUT = code(
    "unknown-output",
    """A step has no such output.

    The task of a step declares what it gives; `outputs:` at the step narrows that.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_query: {id: found, query: SELECT 1 AS n}
      - log: "${json(found.row)}"
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_query: {id: found, query: SELECT 1 AS n}
      - log: "${json(found.rows)}"
    ```
    """,
    fix="guess",
)
UNKNOWN_FIELD = code(
    "unknown-field",
    """An object whose keys are known has no such key.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.nmae}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.name}"
    ```
    """,
    fix="guess",
)
UNKNOWN_FUNCTION = code(
    "unknown-function",
    """A function that is not in the table of functions.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${length(inputs.name)}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${len(inputs.name)}"
    ```
    """,
    fix="guess",
)
LATER = code(
    "defined-later",
    """A step is read before it ran.

    Steps run in the order they are written in. Move the reading step below the one it reads.

    ```yaml wrong
    flow: f
    steps:
      - log: "${greeting.text}"
      - {id: greeting, set: {text: Hello}}
    ```

    ```yaml
    flow: f
    steps:
      - {id: greeting, set: {text: Hello}}
      - log: "${greeting.text}"
    ```
    """,
)
MAYBE = code(
    "may-be-skipped",
    """A value is read that may not be there.

    The step stands in a branch, under an `if`, or its failure is handled, so it may give nothing.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - {id: a, if: inputs.name == 'Ann', set: {text: Hello}}
      - log: "${a.text}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - {id: a, if: inputs.name == 'Ann', set: {text: Hello}}
      - log: "${default(a.text, 'Good day')}"
    ```
    """,
)
MAY_BE_MISSING = code(
    "may-be-missing",
    """A key is read that only some of the possible objects have.

    Two branches leave different keys under one id, or a list holds objects with different keys. Read the key with
    `default(…)`, ask for it with `has(…)`, or let every branch define it.

    ```yaml wrong
    flow: f
    inputs:
      - {name: fast, type: boolean, required: true}
    steps:
      - if: inputs.fast
        then:
          - {id: way, set: {name: air, surcharge: 20}}
        else:
          - {id: way, set: {name: sea}}
      - log: "${way.surcharge}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: fast, type: boolean, required: true}
    steps:
      - if: inputs.fast
        then:
          - {id: way, set: {name: air, surcharge: 20}}
        else:
          - {id: way, set: {name: sea}}
      - log: "${default(way.surcharge, 0)}"
    ```
    """,
)
HIDDEN = code(
    "not-readable-here",
    """A root that cannot be read at this place.

    `env` and `secrets` are for connections, so that they do not end in what is stored and shown.

    ```yaml wrong
    flow: f
    steps:
      - log: "${env.HOME}"
    ```

    ```yaml
    flow: f
    vars: {home: "${env.HOME}"}
    steps:
      - log: "${vars.home}"
    ```
    """,
)
NULL_VALUE = code(
    "may-be-null",
    """A value that may be null is used where null means an error.

    ```yaml wrong
    flow: f
    inputs:
      - {name: discount, type: integer}      # null when it is not given
    steps:
      - set: {total: "${inputs.discount + 1}"}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: discount, type: integer}
    steps:
      - set: {total: "${default(inputs.discount, 0) + 1}"}
    ```
    """,
)
MISMATCH = code(
    "type-mismatch",
    """A value has the wrong type for what is done with it.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${inputs.name > 5}
        then: [{log: Hello}]
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - if: ${int(inputs.name) > 5}
        then: [{log: Hello}]
    ```
    """,
)
NOT_BOOLEAN = code(
    "not-boolean",
    """A condition is not a boolean.

    Nothing is true or false by being empty or zero: say what is meant.

    ```yaml wrong
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - if: ${inputs.rows}
        then: [{log: Hello}]
    ```

    ```yaml
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - if: ${len(inputs.rows) > 0}
        then: [{log: Hello}]
    ```
    """,
)
ARGUMENTS = code(
    "wrong-arguments",
    """A function is called with too many, too few or unknown arguments.

    ```yaml wrong
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - log: ${round()}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - log: ${round(1.5)}
    ```
    """,
)
NOT_TEXT = code(
    "not-text",
    """A value cannot be put into text.

    Numbers, text, booleans and times can. Null, bytes, lists and objects cannot: `json(x)` says it on purpose.

    ```yaml wrong
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - log: "Found ${inputs.rows}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - log: "Found ${json(inputs.rows)}"
    ```
    """,
)
NAME_TAKEN = code(
    "name-taken",
    """The variable of a comprehension has a name that already means something here.

    ```yaml wrong
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - set: {names: "${[inputs.name for inputs in inputs.rows]}"}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: rows, type: array, required: true}
    steps:
      - set: {names: "${[row.name for row in inputs.rows]}"}
    ```
    """,
)
BAD_PATTERN = code(
    "bad-pattern",
    """A pattern is not a regular expression that is run in linear time.

    Look-around and back-references are not part of it: they can take exponential time on hostile text. The syntax is
    that of Rust's `regex`.

    ```yaml wrong
    flow: f
    inputs:
      - {name: code, type: string, required: true, pattern: '(?=a)b'}
    steps:
      - log: "${inputs.code}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: code, type: string, required: true, pattern: '^[a-z]+$'}
    steps:
      - log: "${inputs.code}"
    ```
    """,
)
PATTERN_HELP = "the syntax is that of Rust's `regex`; write a pattern as r'…'"
ALWAYS_FAILS = code(
    "always-fails",
    """A part of an expression fails on every run, because of what is written out in it.

    ```yaml wrong
    flow: f
    steps:
      - wait: "${duration('5 seconds')}"
    ```

    ```yaml
    flow: f
    steps:
      - wait: "${duration('5s')}"
    ```
    """,
)
