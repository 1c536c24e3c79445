"""What PostgreSQL's errors mean for a flow, by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).

The longest entry that a state begins with counts: five characters are one error, two are its class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowlang.connections.errors import Classified
from flowlang.exceptions import ERROR_CLASSES, FlowExecutionError

TRANSIENT = "conflict, transient"
TABLE: Mapping[str, str] = {
    "08": "connection_lost",
    "0A": "validation",
    "21": "validation",
    "22": "validation",
    "23": "conflict",  # a constraint: not null, unique, foreign key, check, exclusion
    "24": "validation",
    "25": "validation",
    "25006": "permission",  # a read-only transaction or server
    "25P02": "conflict",  # an earlier statement of the transaction failed
    "25P03": "connection_lost",  # idle in a transaction for too long
    "26": TRANSIENT,  # a prepared statement is gone
    "28": "auth",
    "2B": "conflict",
    "3D": "not_found",  # no such database
    "3F": "not_found",  # no such schema
    "40": TRANSIENT,  # serialization failure, deadlock
    "40002": "conflict",
    "40003": "connection_lost",  # nobody knows whether it is done
    "42": "validation",
    "42501": "permission",
    "42P01": "not_found",  # table
    "42703": "not_found",  # column
    "42704": "not_found",  # type, role, …
    "42883": "not_found",  # function
    "42P04": "conflict",  # there is one already: database,
    "42P06": "conflict",  # schema,
    "42P07": "conflict",  # table,
    "42701": "conflict",  # column,
    "42710": "conflict",  # other objects,
    "42723": "conflict",  # function
    "53": "unavailable",
    "53100": "limit",  # disk full
    "53200": "limit",  # out of memory
    "53400": "limit",
    "54": "limit",
    "55": "conflict",
    "55006": TRANSIENT,  # in use
    "55P03": TRANSIENT,  # lock not available in time
    "57014": "timeout",  # canceled
    "57P01": "connection_lost",  # the session was ended: shutdown,
    "57P02": "connection_lost",  # crash of another session,
    "57P03": "unavailable",  # the server is starting or stopping
    "57P04": "not_found",  # the database was dropped
    "57P05": "connection_lost",  # idle for too long
    "58": "unavailable",
    "F0": "config",
    "HV": "unavailable",
    "P0": "conflict",  # RAISE in a function or trigger
    "P0002": "not_found",
    "XX": "unavailable",
}
_NO_RETRY = ("XX",)  # a defect or damage of the server's
_OTHER = "conflict"  # states that functions raise on their own
_ADVICE: Mapping[str, str] = {
    "25P02": "a statement of this transaction failed earlier; nothing of it can be kept. `pg_transaction` inside a "
    "`transaction` block makes a savepoint, whose failure can be handled",
    "42P18": "the type of a value cannot be told from the statement: cast it, `${x}::int`",
    "53300": "the server has as many sessions as it allows: lower `pool_size`, here or elsewhere",
    "21000": "a key stands more than once, or a subquery gives more than one row",
}
_UTILITY = re.compile(r'syntax error at or near "\$\d+"')


def state_of(error: BaseException) -> str | None:
    """The SQLSTATE that the server gave, or the driver in its place."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) and len(state) == 5 else None


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of asyncpg, and of too little memory for what it reads; None for anything else."""
    if _out_of_memory(error):
        return _classified("limit")
    state = state_of(error)
    if state is not None:
        return _by_state(state, str(error))
    if not type(error).__module__.startswith("asyncpg"):
        return None
    name = "validation" if isinstance(error, ValueError) else "connection_lost"
    return _classified(name)


def _out_of_memory(error: BaseException) -> bool:
    """asyncio ends a link whose next bytes find no memory, and asyncpg gives that as the cause of the link's end."""
    return isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)


def _by_state(state: str, text: str) -> Classified:
    name = TABLE.get(state) or TABLE.get(state[:2]) or _OTHER
    if state == "57014" and "timeout" not in text:
        return Classified("unavailable", retryable=False)  # somebody cancelled it on purpose
    if state == "0A000" and "cached" in text:
        name = TRANSIENT
    return _classified(name, never=state.startswith(_NO_RETRY))


def _classified(name: str, *, never: bool = False) -> Classified:
    if name == TRANSIENT:
        return Classified("conflict", retryable=True)
    return Classified(name, ERROR_CLASSES[name].retryable and not never, None, name == "connection_lost")


def translated(error: BaseException) -> FlowExecutionError:
    """The error a task raises for one of the driver's; `raise … from error` keeps the driver's own."""
    if isinstance(error, FlowExecutionError):
        return error
    state = state_of(error)
    known = verdict(error)
    if known is None:
        return _of_driver(error)
    told = FlowExecutionError(_text(error, known), error_class=known.error_class, retryable=known.retryable)
    for name in ("detail", "hint"):
        more = getattr(error, name, None)
        if more and state is not None:
            told.add_note(str(more))
    if state is not None and state in _ADVICE:
        told.add_note(_ADVICE[state])
    elif _UTILITY.search(str(error)):
        told.add_note(
            "PostgreSQL takes values only in SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES; "
            "settings are set by SELECT set_config(${name}, ${value}, false)"
        )
    return told


def _text(error: BaseException, known: Classified) -> str:
    text = _said(error).partition("\nHINT:")[0].partition("\nDETAIL:")[0]
    if known.error_class == "connection_lost" and state_of(error) in (None, "08003"):
        return f"the session broke: {text}"
    return text


def _said(error: BaseException) -> str:
    """The driver's words, or the reason for which this side broke the link off (see `wire`)."""
    if _out_of_memory(error):
        return "the answer does not fit into memory: `pg_stream` reads it in batches"
    return str(error.__cause__ if isinstance(error.__cause__, ConnectionAbortedError) else error)


def _of_driver(error: BaseException) -> FlowExecutionError:
    if isinstance(error, TimeoutError):
        return FlowExecutionError("no answer within the connection's `timeout`", error_class="timeout")
    if isinstance(error, OSError):
        return FlowExecutionError(f"the session broke: {error}", error_class="connection_lost")
    if isinstance(error, (ValueError, OverflowError)):  # asyncpg has no Python value for what the server sent
        return FlowExecutionError(
            f"a value of the result is outside what can be read ({error}): cast it in the statement, `…::text`",
            error_class="validation",
        )
    if isinstance(error, AssertionError):  # a row whose fields do not fit into it
        return FlowExecutionError(f"the server's answer cannot be read: {error}", error_class="connection_lost")
    return FlowExecutionError(str(error), error_class="validation")


def of_opening(error: BaseException) -> FlowExecutionError:
    """The error for a session that could not be opened: nothing has been sent, so nothing is unknown."""
    known = verdict(error)
    name, retryable = ("connect", True) if known is None else (known.error_class, known.retryable)
    if name in ("connection_lost", "validation"):
        name = "connect"
    if isinstance(error, TimeoutError):
        return FlowExecutionError("the server did not answer in time", error_class="timeout")
    if isinstance(error, OSError) and _refuses_tls(error):
        retryable = False
    told = FlowExecutionError(
        f"cannot open a session: {_said(error) or type(error).__name__}", error_class=name, retryable=retryable
    )
    advice = _ADVICE.get(state_of(error) or "")
    if advice is not None:
        told.add_note(advice)
    return told


def _refuses_tls(error: OSError) -> bool:
    import ssl

    return isinstance(error, ssl.SSLCertVerificationError) or "rejected SSL upgrade" in str(error)
