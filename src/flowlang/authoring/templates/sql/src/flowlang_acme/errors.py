"""What the driver's errors mean for a flow: whether a retry may help, and what `on_error` sees.

`flowlang explain conflict` and the like say what a class means.
"""

from __future__ import annotations

from flowlang.connections.errors import Classified
from flowlang.exceptions import FlowExecutionError

# What stands in the text of an error, the first that fits.
BY_TEXT = (
    ("locked", Classified("conflict", retryable=True)),  # another session is at work
    ("constraint failed", Classified("conflict", retryable=False)),
    ("no such ", Classified("not_found", retryable=False)),
    ("unable to open", Classified("connect", retryable=True)),
    ("not a database", Classified("config", retryable=False)),
    ("readonly", Classified("permission", retryable=False)),
    ("interrupted", Classified("cancelled", retryable=False)),
    ("disk", Classified("unavailable", retryable=True)),
)
INVALID = Classified("validation", retryable=False)  # a faulty statement, or a value that does not fit


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of the driver; None for any other error."""
    import sqlite3

    if not isinstance(error, (sqlite3.Error, sqlite3.Warning, OverflowError)):
        return None
    return next((found for part, found in BY_TEXT if part in str(error)), INVALID)


def translated(error: BaseException) -> FlowExecutionError:
    """What a task raises for an error of the driver, which is chained to it."""
    found = verdict(error) or INVALID
    return FlowExecutionError(str(error), error_class=found.error_class, retryable=found.retryable)
