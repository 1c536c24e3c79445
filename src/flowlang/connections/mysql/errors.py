"""What the errors of MySQL and MariaDB mean for a flow.

The numbers are the servers' own, 1xxx and 3xxx both, 18xx and 19xx MariaDB's
(https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html,
https://mariadb.com/docs/server/reference/error-codes); 2xxx are the driver's.
`ERRORS` is the table: class of failure, whether a retry may help, the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowlang.connections.errors import Classified
from flowlang.exceptions import ConnectionError, FlowExecutionError

if TYPE_CHECKING:
    from flowlang.connections.mysql.config import Settings

ERRORS: tuple[tuple[str, bool, tuple[int, ...]], ...] = (
    ("permission", False, (1044, 1142, 1143, 1227, 1290, 1370, 1410, 1419, 1698, 1792, 1836, 3118, 4031)),
    ("config", False, (1049, 1115, 1251, 2059, 2061)),
    ("auth", False, (1045, 1820, 1862)),
    ("connect", True, (1040, 1203, 1226, 1042, 1043, 1129, 1158, 1159, 1160, 1161, 2002, 2003, 2005)),
    ("connect", False, (1130, 2026)),
    ("conflict", True, (1205, 1213, 1020, 1412, 1614, 3572, 3101)),
    ("conflict", False, (
        1007, 1022, 1050, 1060, 1061, 1062, 1169, 1216, 1217, 1451, 1452, 1557, 1586, 1761, 1762, 1826, 3730, 4025,
        1048, 1364, 3819,
    )),
    ("not_found", False, (1008, 1051, 1054, 1072, 1091, 1109, 1146, 1176, 1305, 1360, 1517, 1524, 4161)),
    ("timeout", True, (3024, 1969)),
    ("connection_lost", True, (2006, 2013, 1152, 1156, 1184, 1927, 1080, 4169)),
    ("unavailable", True, (1053, 1077, 1079, 1180, 1030, 1037, 1038, 1041, 3168)),
    ("cancelled", False, (1317, 1028)),
    ("limit", False, (1021, 1114, 1118, 1153, 1301, 1104, 1117, 1461, 1390, 2020)),
)  # fmt: skip
_BY_NUMBER = {number: Classified(name, retryable) for name, retryable, numbers in ERRORS for number in numbers}
ODD_ANSWERS = (
    RuntimeError, AssertionError, ArithmeticError, LookupError, TypeError, ValueError, MemoryError, SystemError,
)  # fmt: skip
"""What the driver raises where a server says what no server says."""
_UNREACHED = 2003
_OF_VALUE_OR_TEXT = Classified("validation", retryable=False)
_ADVICE = {
    1040: "the server takes no more connections: lower `pool_size`, or raise its `max_connections`",
    1045: "look at the connection's `user` and `password`, and from which hosts that user may come",
    1049: "look at the connection's `database`",
    1205: "another transaction holds the lock; the statement has done nothing, so that a retry of the step may help",
    1213: "the server has rolled the whole transaction back to end a deadlock; retry the step or the transaction block",
    1290: "the server is read-only: a replica, perhaps; write to the primary",
    1836: "the server is read-only: a replica, perhaps; write to the primary",
    1451: "rows of another table refer to this one",
    1452: "the row it refers to does not exist",
    3024: "the server's `max_execution_time` has passed",
    1969: "the server's `max_statement_time` has passed",
    2026: "look at the connection's `ssl_mode` and `ssl_ca`",
}
_NO_TRANSACTION_LEFT = frozenset({1213, 1205, 1180, 3101})  # after these the server may have rolled all of it back


def number_of(error: BaseException) -> int:
    """The number of an error of the driver's; 0 when it has none."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else 0


def of_server(error: BaseException) -> bool:
    """Whether the server has answered with an error packet, after which the connection goes on as before."""
    number = number_of(error)
    return number >= 1000 and not 2000 <= number < 3000 and number not in (1053, 1927, 4031, 1152, 1184)


def code_of(error: BaseException) -> str | None:
    """The server's number, as text."""
    from asyncmy import errors

    number = number_of(error) if isinstance(error, errors.MySQLError) else 0
    return str(number) if number >= 1000 and not 2000 <= number < 3000 else None


def may_end_transaction(error: BaseException) -> bool:
    return number_of(error) in _NO_TRANSACTION_LEFT


def verdict(error: BaseException) -> Classified | None:
    """The class of an error of the driver's; None for anything else."""
    from asyncmy import errors

    if not isinstance(error, errors.MySQLError):
        return None
    number = number_of(error)
    if number == _UNREACHED and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Classified("connect", retryable=False)  # the driver's text is all that is left of the cause
    known = _BY_NUMBER.get(number)
    if known is not None:
        return known
    if of_server(error):
        return _OF_VALUE_OR_TEXT
    return Classified("connection_lost", retryable=True)


def translated(error: BaseException) -> FlowExecutionError:
    """The error a task raises for one of the driver's; `raise … from error` keeps the driver's own."""
    known = verdict(error)
    if known is None:
        if "LOAD_LOCAL" in str(error):
            refused = "the server asked for a file of this machine instead of answering; it got none"
            return FlowExecutionError(refused, error_class="permission", retryable=False)
        text = f"the server's answer cannot be read: {str(error) or type(error).__name__}"
        return FlowExecutionError(text, error_class="connection_lost")
    number = number_of(error)
    told = FlowExecutionError(_text(error, number), error_class=known.error_class, retryable=known.retryable)
    if number in _ADVICE:
        told.add_note(_ADVICE[number])
    return told


def of_opening(error: BaseException, settings: Settings) -> ConnectionError:
    """What a session that cannot be opened is told as. Its class is that of the driver's error."""
    told = translated(error)
    where = f"{settings.host}:{settings.port}"
    raised = ConnectionError(f"no session with the server at {where}: {told}", retryable=told.retryable)
    for note in getattr(told, "__notes__", ()):
        raised.add_note(note)
    return raised


def _text(error: BaseException, number: int) -> str:
    words: Any = error.args[1] if len(error.args) > 1 else (error.args[0] if error.args else "")
    return f"{words} ({number})" if number else str(words or "the connection is closed")
