"""The kinds of finding about YAML itself, each with its page."""

from __future__ import annotations

from flowlang.diagnostics import code

SYNTAX = code(
    "yaml-syntax",
    """The text is not YAML.

    The message says where the reader stopped; the cause often stands on that line or the one above.
    """,
)
INDENTATION = code(
    "bad-indentation",
    """A line does not line up with the lines it belongs to.

    Keys of one object start in the same column, and so do the dashes of one list.

    ```yaml wrong
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute:
          query: DELETE FROM orders
         id: clean           # one column to the left of `query`
    ```

    ```yaml
    flow: f
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute:
          query: DELETE FROM orders
          id: clean
    ```
    """,
    fix="guess",
)
TAB = code(
    "tab-indentation",
    """A tab indents a line.

    YAML counts columns in spaces and does not allow tabs there. Set the editor to insert spaces.

    ```yaml wrong
    flow: f
    steps:
    \t- log: Hello
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    ```
    """,
    fix="guess",
)
DUPLICATE = code(
    "duplicate-key",
    """An object has the same key twice.

    Most YAML readers keep the last one and say nothing. Rename one of the two, or delete it.

    ```yaml wrong
    flow: f
    vars: {city: Bern, city: Rome}
    steps:
      - log: "${vars.city}"
    ```

    ```yaml
    flow: f
    vars: {city: Bern}
    steps:
      - log: "${vars.city}"
    ```
    """,
)
CUT = code(
    "comment-in-expression",
    """A comment begins inside an expression.

    ` #` begins a comment in unquoted text, so the rest of the line is not read.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: ${inputs.name + ' #1'}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    steps:
      - log: "${inputs.name + ' #1'}"
    ```
    """,
)
UNQUOTED = code(
    "unquoted-expression",
    """YAML reads a part of an expression as its own syntax.

    Inside `[…]` and `{…}` a brace ends the text, and `: ` begins a value anywhere. Quote the whole text.

    ```yaml wrong
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute: {query: DELETE FROM people WHERE name = ?, params: [${inputs.name}]}
    ```

    ```yaml
    flow: f
    inputs:
      - {name: name, type: string, required: true}
    connections: {db: {type: sqlite, database: ":memory:"}}
    steps:
      - sqlite_execute: {query: DELETE FROM people WHERE name = ?, params: ["${inputs.name}"]}
    ```
    """,
    fix="certain",
)
QUOTE = code(
    "unclosed-quote",
    """A quote is not closed where it should be, or is followed by more text.

    Inside single quotes a single quote is written twice; inside double quotes a double quote is written `\\"`.

    ```yaml wrong
    flow: f
    steps:
      - log: 'it's late'
    ```

    ```yaml
    flow: f
    steps:
      - log: "it's late"
    ```
    """,
)
BRACKET = code(
    "unclosed-bracket",
    """A `[` or `{` is not closed, or closed by the wrong bracket.

    ```yaml wrong
    flow: f
    vars: {ids: [1, 2}
    steps:
      - log: "${json(vars.ids)}"
    ```

    ```yaml
    flow: f
    vars: {ids: [1, 2]}
    steps:
      - log: "${json(vars.ids)}"
    ```
    """,
)
ESCAPE = code(
    "unknown-escape",
    """A backslash in double quotes begins nothing that YAML knows.

    In double quotes `\\n`, `\\t`, `\\"`, `\\\\`, `\\xNN` and `\\uNNNN` are escapes. In single quotes a
    backslash is a backslash.

    ```yaml wrong
    flow: f
    inputs:
      - {name: code, type: string, required: true, pattern: "\\d+"}
    steps:
      - log: "${inputs.code}"
    ```

    ```yaml
    flow: f
    inputs:
      - {name: code, type: string, required: true, pattern: '\\d+'}
    steps:
      - log: "${inputs.code}"
    ```
    """,
)
SPACE = code(
    "missing-space",
    """The space after a colon, or before a comment, is missing.

    Only `: ` with a space makes a key; `a:1` is one piece of text. Only ` #` with a space begins a comment.

    ```yaml wrong
    flow: f
    steps:
      - id:greet
        log: Hello
    ```

    ```yaml
    flow: f
    steps:
      - id: greet
        log: Hello
    ```
    """,
    fix="certain",
)
CHARACTER = code(
    "reserved-character",
    """Unquoted text begins with a character that YAML keeps for itself.

    Those are `@`, a backtick, `%`, `*`, `&`, `!`, `|`, `>`, `,`, `[`, `]`, `{` and `}`, and inside brackets and braces
    `?`. Quote the text.

    ```yaml wrong
    flow: f
    steps:
      - log: @all
    ```

    ```yaml
    flow: f
    steps:
      - log: "@all"
    ```
    """,
)
TAG = code(
    "unknown-tag",
    """A tag that a flow file cannot have.

    Only the tags of YAML's core schema are read (`!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, `!!map`,
    `!!seq`), and what they stand before must fit them.

    ```yaml wrong
    flow: f
    steps:
      - log: !shout Hello
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    ```
    """,
)
MERGE = code(
    "merge-key",
    """`<<` is not part of YAML 1.2.

    Repeat the keys, or reuse a whole value with an anchor and an alias (`&name`, `*name`).

    ```yaml wrong
    flow: f
    vars:
      base: &base {a: 1}
      more: {<<: *base, b: 2}
    steps:
      - log: "${json(vars.more)} ${json(vars.base)}"
    ```

    ```yaml
    flow: f
    vars:
      base: &base {a: 1}
      more: {base: *base, b: 2}
    steps:
      - log: "${json(vars.more)} ${json(vars.base)}"
    ```
    """,
)
DOCUMENTS = code(
    "second-document",
    """A file holds more than one document.

    One flow is one file; `---` may stand only at its beginning.

    ```yaml wrong
    flow: f
    steps:
      - log: Hello
    ---
    flow: g
    steps:
      - log: Bye
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    ```
    """,
)
KEY = code(
    "key-not-text",
    """A key is not text.

    Keys are text; a number, a word with a meaning of its own or nothing at all must be quoted.

    ```yaml wrong
    flow: f
    vars:
      codes: {404: missing}
    steps:
      - log: "${json(vars.codes)}"
    ```

    ```yaml
    flow: f
    vars:
      codes: {"404": missing}
    steps:
      - log: "${json(vars.codes)}"
    ```
    """,
)
LIMIT = code(
    "file-limit",
    """A flow file is larger, deeper or fuller than flow files may be.

    The bounds are 1 MiB, 64 levels and 100,000 values, with every use of an alias counted as if written out.
    """,
)
NUMBER = code(
    "number-out-of-range",
    """A number is too large to be kept as it is written.

    Quote it to keep it as text, or write `.inf` for infinity.

    ```yaml wrong
    flow: f
    vars: {far: 1e999}
    steps:
      - log: "${vars.far}"
    ```

    ```yaml
    flow: f
    vars: {far: .inf}
    steps:
      - log: "${vars.far}"
    ```
    """,
)
ENCODING = code(
    "not-utf-8",
    """The bytes of a file are not UTF-8.

    Flow files are UTF-8, with or without a byte order mark.
    """,
)
HIDDEN = code(
    "hidden-character",
    """A character that is not seen, or makes the text look other than it is.

    Control characters, direction overrides and unusual line breaks are refused everywhere in a flow file,
    comments included. In double quotes they can be written as escapes.
    """,
)
EMPTY = code(
    "empty-file",
    """The file holds nothing.

    The smallest flow has a name and a step:

    ```yaml wrong
    # nothing but a comment
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    ```
    """,
)
TOP_LEVEL = code(
    "not-a-flow",
    """The top level of the file is not an object.

    A flow is an object with keys such as `flow`, `inputs`, `steps` and `outputs`, each at the start of a line.

    ```yaml wrong
    - log: Hello
    ```

    ```yaml
    flow: f
    steps:
      - log: Hello
    ```
    """,
)
ANCHOR = code(
    "unknown-anchor",
    """An alias has no anchor, or stands inside the value that it names.

    `*name` repeats the value that `&name` marked above it. Text that begins with `*` must be quoted.

    ```yaml wrong
    flow: f
    steps:
      - log: *greeting
    ```

    ```yaml
    flow: f
    steps:
      - log: "*greeting"
    ```
    """,
)
