"""The classes of failures: a page for each, with a flow that the tests run."""

from __future__ import annotations

from flowlang.exceptions import ERROR_CLASSES
from flowlang.records import frozen


@frozen
class FailurePage:
    """What is worth knowing about one class.

    `causes` are what it typically comes from, `remedy` what to do. `example` is a whole flow in which it happens. Where
    `handled`, the flow succeeds and its output `type` is the class; otherwise the run itself ends with it.
    """

    name: str
    causes: str
    remedy: str
    example: str
    handled: bool = True


def _pages(*pages: FailurePage) -> dict[str, FailurePage]:
    found = {each.name: each for each in pages}
    assert found.keys() == ERROR_CLASSES.keys()
    return found


def _raised(name: str, message: str, remark: str) -> str:
    """A flow for a class that only a service can cause: it raises it by itself."""
    return f"""\
flow: {name}
steps:
  - try:
      - raise: {{type: {name}, message: {message}}} # {remark}
    catch:
      - on: [{name}]
        do: [{{id: seen, set: {{type: "${{error.type}}"}}}}]
outputs:
  - {{name: type, value: "${{default(seen.type, 'none')}}"}}
"""


FAILURES = _pages(
    FailurePage(
        "config",
        "A setting of a connection that is only known when the run starts does not fit its schema, a driver is not "
        "installed, or a task file cannot be imported.",
        "Mend the setting that the message names. A retry cannot help.",
        _raised("config", "no such region", "as a plugin does that cannot use its settings"),
    ),
    FailurePage(
        "validation",
        "A value that is only known in the run does not fit what was declared for it: an input of a subflow, an output "
        "with a type, a parameter of a task.",
        "Look at the value that the message names, and where it comes from.",
        """\
flow: validation
steps:
  - id: value
    set: {it: "${from_json('5')}"} # what JSON holds is known in the run only
  - id: loop
    for_each: "${value.it}"
    do: [{log: "${item}"}]
    on_error:
      - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "expression",
        "A key or an index that is not there, a division by zero, a comparison of values that have no order, or an "
        "expression that needs more work than it may.",
        "The message points at the part that failed and shows its values. `default(…)` and `has(…)` are for what may "
        "be missing.",
        """\
flow: expression
inputs:
  - {name: numbers, type: array, default: []}
steps:
  - id: mean
    set: {it: "${sum(inputs.numbers) / len(inputs.numbers)}"}
    on_error:
      - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "connect",
        "The service does not run, its name does not resolve, a certificate is not accepted, or it has no connection "
        "left to give.",
        "Opening is tried again with `defaults: {retry: …}`. The command exits with 3.",
        """\
flow: connect
connections:
  db: {type: sqlite, database: no/such/folder/file.db, lazy: true}
steps:
  - sqlite_query:
      query: SELECT 1
      on_error:
        - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "connection_lost",
        "The link broke after something was sent: the server was restarted, or something between cut the connection. "
        "Whether the operation took place is not known.",
        "Reads, and writes that may be repeated, are retried when a step asks for it. For another write look at the "
        "service first, or give the step an `idempotency_key`.",
        _raised("connection_lost", "the server closed the connection", "as when a database is restarted"),
    ),
    FailurePage(
        "timeout",
        "A step took longer than its `timeout`, no handle of a pool came free in time, or no signal came.",
        "If something was sent the outcome is unknown, as with `connection_lost`. Give the step more time, or find out "
        "what keeps the service busy.",
        """\
flow: timeout
steps:
  - wait: 1m
    timeout: 50ms
    on_error:
      - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "auth",
        "The user, password, token or key is wrong or has expired.",
        "Set the secret that the connection names. It is not retried.",
        _raised("auth", "the token has expired", "as a service does that knows the token no more"),
    ),
    FailurePage(
        "permission",
        "The credentials are right and do not allow this operation, a file may not be read or written, or a path leads "
        "out of the files root.",
        "Ask for the right, or use what is allowed.",
        """\
flow: permission
steps:
  - file_read:
      path: ../outside.txt # files are read below the working directory, or below --files-root
      on_error:
        - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "not_found",
        "A file, a table, a row that has to be there, or the address of a service does not exist.",
        "Mend the name, or handle it: something that may be missing is a case of its own.",
        """\
flow: not_found
steps:
  - file_read:
      path: no-such-file.txt
      on_error:
        - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "conflict",
        "A unique key exists already, a constraint forbids the change, another transaction was faster, or a database "
        "is locked.",
        "A conflict that the service calls transient (a deadlock, a serialization failure) is retried when a step asks "
        "for it; for any other say `on: [conflict]`.",
        """\
flow: conflict
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_execute: {query: CREATE TABLE users (name TEXT UNIQUE)}
  - sqlite_execute: {query: INSERT INTO users VALUES ('Ada')}
  - sqlite_execute:
      query: INSERT INTO users VALUES ('Ada')
      on_error:
        - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "rate_limited",
        "The service has been asked more often than it allows.",
        "It is retried when a step asks for it, after the time that the service states. Lower `max_concurrency`.",
        _raised("rate_limited", "too many requests", "as a service does that is asked too often"),
    ),
    FailurePage(
        "unavailable",
        "The service answers that it cannot serve now: it starts, stops, is overloaded or in maintenance.",
        "It is retried when a step asks for it.",
        _raised("unavailable", "the service is starting", "as a service does that is not ready"),
    ),
    FailurePage(
        "task",
        "A task raised an error that nothing else classifies: a statement with a mistake, a defect in a function of "
        "your own.",
        "Read the cause below the message. It is retried when a step asks for it, unless the task says that this "
        "cannot help.",
        """\
flow: task
steps:
  - raise: {message: no such luck} # `type` is `task` when it is left out
    on_error:
      - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "limit",
        "A loop needed more turns than `max_iterations`, an answer was larger than it may be, or a pool was waited for "
        "by the very steps that hold it.",
        "Raise the bound if it is too low; most often it has found a loop that would not end.",
        """\
flow: limit
steps:
  - until: "1 > 2"
    max_iterations: 3
    do: [{log: again}]
    on_error:
      - {id: seen, set: {type: "${error.type}"}}
outputs:
  - {name: type, value: "${default(seen.type, 'none')}"}
""",
    ),
    FailurePage(
        "cancelled",
        "The run was cancelled: by a signal of the terminal, by the program that started it, or because a parallel "
        "branch failed.",
        "Nothing catches it. `on_cancel`, `finally` and the `finally` of a `try` clean up; the command exits with 130.",
        """\
flow: cancelled
steps:
  - raise: {type: cancelled, message: this is how a cancelled step ends}
finally:
  - log: cleaned up
""",
        handled=False,
    ),
    FailurePage(
        "internal",
        "A defect of FlowLang itself.",
        "Please report it, with the message and the version.",
        _raised("internal", "this cannot happen", "only a defect does this without being asked"),
    ),
)
