"""What a task gets as its `connection`: a session, what a task may leave in it, and its transaction."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from asyncmy.errors import MySQLError

from flowlang.connections._sql.dialect import MYSQL
from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.records import Insert, Records, Update, invalid
from flowlang.connections._sql.results import Row, StatementResult, unique_columns
from flowlang.connections._sql.text import leading_word
from flowlang.connections.mysql import records as many
from flowlang.connections.mysql.config import Settings
from flowlang.connections.mysql.errors import ODD_ANSWERS, may_end_transaction, of_opening, of_server, translated
from flowlang.connections.mysql.session import Session
from flowlang.connections.mysql.values import literals
from flowlang.exceptions import ConnectionError, FlowExecutionError
from flowlang.tasks.table import Table, labelled

_PLAIN = frozenset(
    "SELECT INSERT UPDATE DELETE REPLACE WITH VALUES TABLE SHOW EXPLAIN DESCRIBE DESC ANALYZE CREATE ALTER DROP "
    "TRUNCATE RENAME GRANT REVOKE OPTIMIZE CHECK".split()
)
_LEAVES_SOMETHING = re.compile(r"@|\bTEMPORARY\b|\b(?:IS_USED|GET|RELEASE(?:_ALL)?)_LOCKS?\b", re.IGNORECASE)
_COMMITS = frozenset(
    "ALTER ANALYZE CACHE CHANGE CHECK CREATE DROP FLUSH GRANT INSTALL LOCK OPTIMIZE PURGE RENAME REPAIR RESET REVOKE "
    "SHUTDOWN START STOP TRUNCATE UNINSTALL UNLOCK XA".split()
)
_TEMPORARY = re.compile(r"\s*(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?TEMPORARY\b", re.IGNORECASE)
_CHARSET = re.compile(
    r"\bSET\s+(?:NAMES|CHARACTER\s+SET|CHARSET)\b|\bcharacter_set_(?:client|connection|results)\b.*?=",
    re.IGNORECASE | re.DOTALL,
)
_TRANSLATED = (MySQLError, *ODD_ANSWERS)
_MOST_ROWS = 2**63 - 1


class Handle(SqlHandle):
    """A session, with what is known of its state."""

    def __init__(self, settings: Settings) -> None:
        self.session = Session(settings)
        self._dirty = False
        self._depth = 0
        self._lost = False  # the server has rolled the transaction back by itself
        self._running = False  # a statement was sent, and its answer has not been read to the end
        self._closed = False

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Raises ConnectionError, OSError and TimeoutError."""
        try:
            await self.session.open()
        except _TRANSLATED as error:
            raise of_opening(error, self.session.settings) from error

    @property
    def closed(self) -> bool:
        return self._closed or not self.session.usable

    async def reset(self, *, thorough: bool = False) -> bool:
        """Undo what a task left. Returns whether the session is as good as new. `thorough`: also what no statement
        shows, such as a variable that a trigger set, or the last inserted id."""
        session = self.session
        if self.closed or self._running:
            return False
        left = self._dirty or self._depth or session.get_transaction_status() or not session.get_autocommit()
        if not (thorough or left):
            return True
        try:
            await session.reset()
        except MySQLError:
            return False  # a server that cannot reset a session; it is closed instead
        self._dirty = self._lost = False
        self._depth = 0
        return True

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._running and not self.session.broken:
            await self.session.goodbye()
            return
        self.session.close()
        if self._running:  # cancelled, or nobody wanted the rest of its rows
            await self.session.end_at_server()

    async def ping(self) -> None:
        async with self.told():
            await self.session.in_transaction()

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Around what is sent: the driver's errors become FlowLang's, and what they leave is noted."""
        self.begins()
        try:
            yield
        except _TRANSLATED as error:
            raise await self.failed(error) from error
        self.ends()

    def begins(self) -> None:
        """A statement is about to be sent."""
        if self._closed:
            raise ConnectionError("the handle is closed")
        self._running = True

    def ends(self) -> None:
        """Its answer has been read."""
        self._running = False

    async def failed(self, error: BaseException) -> FlowExecutionError:
        """What to raise for an error of the driver's."""
        self._running = False
        self.session.broken = not (isinstance(error, MySQLError) and of_server(error))
        if self._depth and not self.session.broken and may_end_transaction(error):
            self._lost = not await self.session.in_transaction()
        return translated(error)

    async def send(self, text: str, *, unbuffered: bool = False) -> Any:
        """Run one statement whose values are in it. Returns the driver's result."""
        self.still_there()
        data, session = self.encoded(text), self.session
        self.begins()
        try:  # as in `told`, whose generator costs as much as the rest of this function
            await session.send(data, unbuffered=unbuffered)
            first = result = session.result
            while not unbuffered and result.has_next:  # a procedure gives several; the first is the statement's
                await session.next_result()
                result = session.result
        except _TRANSLATED as error:
            raise await self.failed(error) from error
        self.ends()
        return first

    async def send_all(self, data: bytes, count: Callable[[Any], int]) -> int:
        """Run the statements of one packet. Returns the sum of what `count` says of their results."""
        self.still_there()
        async with self.told():
            await self.session.send(data)
            total = count(self.session.result)
            while self.session.result.has_next:
                await self.session.next_result()
                total += count(self.session.result)
        return total

    def encoded(self, text: str) -> bytes:
        """`text` as it is sent. Raises for what has no place in the charset, or in one packet."""
        try:
            data = text.encode(self.session.encoding)
        except UnicodeEncodeError as error:
            letter = error.object[error.start]
            raise invalid(f"the character {letter!a} has no place in the connection's charset") from error
        if len(data) >= self.session.max_packet:
            raise FlowExecutionError(
                f"the statement has {len(data)} bytes, and the server takes fewer than {self.session.max_packet}"
                " (`max_allowed_packet`)",
                error_class="limit",
            )
        return data

    def author(self, text: str, values: list[Any], *, unbuffered: bool = False) -> Awaitable[Any]:
        """Run a statement that the flow wrote. Returns the driver's result."""
        word, dirties, commits = _nature(text)
        if commits and self._depth:
            raise invalid(f"{word} would commit the transaction at once: MySQL has no definitions in transactions")
        self._dirty = self._dirty or dirties
        return self.send(filled(text, values), unbuffered=unbuffered)

    async def fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        if limit is None:
            return _rows(await self.author(text, values))
        await self.send(f"SET sql_select_limit = {min(limit, _MOST_ROWS)}")
        try:
            return _rows(await self.author(text, values))[:limit]
        finally:
            if self.session.usable:
                await self.send("SET sql_select_limit = DEFAULT")

    async def run(self, text: str, values: list[Any]) -> StatementResult:
        result = await self.author(text, values)
        if result.description is not None:
            rows = _rows(result)
            return {"rows": rows, "rows_affected": 0 if _nature(text)[0] in _READS else len(rows)}
        return {"rows": [], "rows_affected": int(result.affected_rows)}

    async def batches(self, text: str, values: list[Any], size: int) -> AsyncGenerator[Table, None]:
        result = await self.author(text, values, unbuffered=True)
        if result.description is None:
            return
        ended = False
        self._running = True
        try:
            names = _columns(result.description)
            while not ended:
                async with self.told():
                    rows = await self.session.rows_left(size)
                ended = len(rows) < size
                self._running = not ended
                if rows:
                    yield Table(names, rows)
            async with self.told():
                while self.session.result is not None and self.session.result.has_next:
                    await self.session.next_result()
        finally:
            if self._running and self._depth and self.session.connected:
                await self._stop_reading()

    async def _stop_reading(self) -> None:
        """In a transaction the session must live on: the server is asked to stop, and what it has sent is read."""
        await self.session.stop_statement()
        try:
            async with self.told():
                while await self.session.rows_left(1000):
                    pass
        except FlowExecutionError as error:
            if error.error_class != "cancelled":
                raise
            return
        # It had ended before; the order to stop may meet the next statement instead.
        try:
            await self.send("DO 0")
        except FlowExecutionError as error:
            if error.error_class != "cancelled":
                raise

    # ── many records ────────────────────────────────────────────────────────────────────────────────────────

    async def insert(self, job: Insert, records: Records, first: int) -> int:
        return await many.insert(self, job, records, first)

    async def update(self, job: Update, records: Records, first: int) -> int:
        return await many.update(self, job, records, first)

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    def still_there(self) -> None:
        """What follows a rollback of the server's own must not be kept on its own."""
        if self._lost:
            raise FlowExecutionError(
                "the server has rolled the transaction back after an earlier error: nothing of it is kept",
                error_class="conflict",
            )

    async def begin(self) -> str:
        name = f"flowlang_{self._depth}" if self._depth else ""
        await self.send(f"SAVEPOINT {name}" if name else "START TRANSACTION")
        self._depth += 1
        return name

    async def commit(self, savepoint: str) -> None:
        await self.send(f"RELEASE SAVEPOINT {savepoint}" if savepoint else "COMMIT")
        self._depth -= 1

    async def rollback(self, savepoint: str) -> None:
        self._depth = max(self._depth - 1, 0)
        lost = self._lost
        if not savepoint:
            self._lost = False
        if self.closed or self._running or (lost and savepoint):
            return
        await self.send(f"ROLLBACK TO SAVEPOINT {savepoint}" if savepoint else "ROLLBACK")


_READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"})


@lru_cache(maxsize=1024)
def _nature(text: str) -> tuple[str, bool, bool]:
    """A statement's first word, whether it may leave something in the session, and whether it commits."""
    word = leading_word(text, MYSQL)
    if _CHARSET.search(text):
        raise invalid("the charset of a session is the connection's `charset`: the driver reads every text by it")
    dirties = word not in _PLAIN or _LEAVES_SOMETHING.search(text) is not None
    return word, dirties, word in _COMMITS and not _TEMPORARY.match(text)


def filled(text: str, values: list[Any]) -> str:
    """The statement with its values as literals. A `%` that is not a placeholder has been doubled by `render`."""
    return text % tuple(literals(values))


def _rows(result: Any) -> list[Row]:
    if result.description is None:
        return []
    return labelled(_columns(result.description), result.rows)


@lru_cache(maxsize=256)
def _columns(description: tuple[tuple[Any, ...], ...]) -> tuple[str, ...]:
    return unique_columns([column[0] for column in description])
