"""The kinds of finding that expressions give rise to, each with its page."""

from __future__ import annotations

from flowlang.diagnostics import code

UNTERMINATED = code(
    "expression-unterminated",
    """An expression is opened and never closed.

    `${` begins an expression and the `}` that belongs to it ends it; quotes and brackets in between must be closed too.

        value: "${inputs.name"      # the brace is missing
        value: "${inputs.name}"

    Write `$${` for the two characters `${` themselves.
    """,
)
SYNTAX = code(
    "expression-syntax",
    """The text is not an expression.

    What stands inside `${…}` is one expression in a restricted form of Python.

        value: ${inputs.first inputs.last}      # two values side by side
        value: ${inputs.first + ' ' + inputs.last}
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

        if: ${a.ready && !a.failed}
        if: ${a.ready and not a.failed}
    """,
)
FORM = code(
    "unsupported-form",
    """A form of Python that expressions leave out.

    There are literals, paths, operators, calls of the functions of the table, list and object displays and
    comprehensions. No lambda, no assignment, no f-string, no star-argument, no set, no tuple.

        value: ${(1, 2)}
        value: ${[1, 2]}
    """,
)
METHOD = code(
    "method-call",
    """Values have no methods.

    A dot looks up a key of an object and does nothing else. What a method would do, a function does.

        if: ${inputs.name.startswith('a')}
        if: ${starts_with(inputs.name, 'a')}
    """,
)
PRIVATE = code(
    "private-name",
    """A name that begins with `_` follows a dot.

    Such a key is looked up in brackets, where it cannot be taken for something of Python's.

        value: ${document._id}
        value: ${document["_id"]}
    """,
)
QUOTED = code(
    "quoted-expression",
    """`${…}` stands inside quotes of an expression, where it is plain text.

        if: "'${user.role}' == 'admin'"      # compares two texts that never change
        if: ${user.role} == 'admin'
    """,
)
FOREIGN = code(
    "foreign-template",
    """`{{ … }}` is plain text here.

    Other systems fill it in; FlowLang fills in `${…}`.

        value: "{{ inputs.name }}"
        value: "${inputs.name}"
    """,
)
UNKNOWN_NAME = code(
    "unknown-name",
    """A name that means nothing at this place.

    An expression begins with a root (`inputs`, `vars`, `run`, …), the id of a step above it, or the name of a
    loop variable around it.

        value: ${input.id}
        value: ${inputs.id}
    """,
)
UNKNOWN_OUTPUT = code(
    "unknown-output",
    """A step has no such output.

    The task of a step declares what it gives; `outputs:` at the step narrows that.

        user: ${fetch_user.row[0]}       # it gives `rows` and `count`
        user: ${fetch_user.rows[0]}
    """,
)
UNKNOWN_FIELD = code(
    "unknown-field",
    """An object whose keys are known has no such key.

        value: ${inputs.mail}            # the input is called `email`
        value: ${inputs.email}
    """,
)
UNKNOWN_FUNCTION = code(
    "unknown-function",
    """A function that is not in the table of functions.

        value: ${length(a.rows)}
        value: ${len(a.rows)}
    """,
)
LATER = code(
    "defined-later",
    """A step is read before it ran.

    Steps run in the order they are written in. Move the reading step below the one it reads.
    """,
)
MAYBE = code(
    "may-be-skipped",
    """A value is read that may not be there.

    The step stands in a branch, under an `if`, or its failure is handled, so it may give nothing.

        v: ${a.v}
        v: ${default(a.v, 'none')}
    """,
)
HIDDEN = code(
    "not-readable-here",
    """A root that cannot be read at this place.

    `env` and `secrets` are for connections, so that they do not end in what is stored and shown.
    """,
)
NULL_VALUE = code(
    "may-be-null",
    """A value that may be null is used where null means an error.

        total: ${inputs.discount + 1}                  # an optional input without a default is null
        total: ${default(inputs.discount, 0) + 1}
    """,
)
MISMATCH = code(
    "type-mismatch",
    """A value has the wrong type for what is done with it.

        if: ${inputs.name > 5}                         # `name` is a string
        if: ${int(inputs.name) > 5}
    """,
)
NOT_BOOLEAN = code(
    "not-boolean",
    """A condition is not a boolean.

    Nothing is true or false by being empty or zero: say what is meant.

        if: ${a.rows}
        if: ${len(a.rows) > 0}
    """,
)
ARGUMENTS = code(
    "wrong-arguments",
    """A function is called with too many, too few or unknown arguments.

        value: ${join(a.names)}
        value: ${join(a.names, ', ')}
    """,
)
NOT_TEXT = code(
    "not-text",
    """A value cannot be put into text.

    Numbers, text, booleans and times can. Null, bytes, lists and objects cannot: `json(x)` says it on purpose.

        message: "Found ${a.rows}"
        message: "Found ${json(a.rows)}"
    """,
)
NAME_TAKEN = code(
    "name-taken",
    """The variable of a comprehension has a name that already means something here.

        value: ${[inputs.name for inputs in a.rows]}
        value: ${[row.name for row in a.rows]}
    """,
)
BAD_PATTERN = code(
    "bad-pattern",
    """A pattern is not a regular expression that is run in linear time.

    Look-around and back-references are not part of it: they can take exponential time on hostile text. The syntax is
    that of Rust's `regex`.

        pattern: '(a)\\1'
        pattern: 'aa'
    """,
)
PATTERN_HELP = "the syntax is that of Rust's `regex`; write a pattern as r'…'"
ALWAYS_FAILS = code(
    "always-fails",
    """A part of an expression fails on every run, because of what is written out in it.

        value: ${duration('5 seconds')}
        value: ${duration('5s')}
    """,
)
