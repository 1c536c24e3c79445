"""One session with a PostgreSQL server: a connection of asyncpg, the statements it knows, and what is to be undone."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from flowlang.connections._sql.dialect import POSTGRES
from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.records import Insert, Records, Update
from flowlang.connections._sql.results import Row, StatementResult
from flowlang.connections._sql.text import leading_word
from flowlang.connections.postgres import many
from flowlang.connections.postgres.config import Settings
from flowlang.connections.postgres.errors import state_of, translated
from flowlang.connections.postgres.opening import opened
from flowlang.connections.postgres.session import RESET, mark_of
from flowlang.connections.postgres.statement import Statement, value_refused
from flowlang.exceptions import ConnectionError, FlowExecutionError
from flowlang.tasks.table import Table

CLOSE_LIMIT = 2.0  # seconds for a farewell to a server that may be gone
_KEPT_STATEMENTS = 200
_DEFINES = frozenset({"CREATE", "ALTER", "DROP"})  # they change what other statements mean


class _Told:
    """The driver's errors as FlowLang's. A class and no generator, since it stands around every statement."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, FlowExecutionError):
            return
        import asyncpg

        if isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
            raise value_refused(error) or translated(error) from error
        if isinstance(error, (ValueError, OverflowError)):
            raise translated(error) from error
        if isinstance(error, AssertionError):  # how the driver says that an answer makes no sense
            self._driver.terminate()
            raise translated(error) from error


class Handle(SqlHandle):
    """A connection of asyncpg, with what is known of its session."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._driver: Any = None
        self._statements: OrderedDict[str, Statement] = OrderedDict()
        self._marked = settings.always_reset
        self._spent = False
        self._handed_out = False
        self._depth = 0

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Log in. Raises FlowExecutionError: `connect`, `auth`, `not_found` (the database), `permission`, `timeout`,
        `unavailable` (no session left)."""
        self._driver = await opened(self.settings)
        self._told = _Told(self._driver)

    @property
    def closed(self) -> bool:
        return self._driver is None or bool(self._driver.is_closed())

    @property
    def driver(self) -> Any:
        """asyncpg's connection, for what has no method here. The session is reset afterwards, and passes to no other
        run: it may have listeners and codecs that a reset does not take away."""
        self._handed_out = True
        return self.marked()

    def marked(self) -> Any:
        """asyncpg's connection, for our own tasks, which leave nothing in it that a reset does not undo."""
        self._marked = True
        return self._driver

    async def close(self) -> None:
        self._statements.clear()
        if self.closed:
            return
        try:
            await self._driver.close(timeout=CLOSE_LIMIT)
        except Exception:  # noqa: BLE001 - it is closed the hard way then, which is what was asked for
            self._driver.terminate()

    async def reset(self, *, thorough: bool = False) -> bool:
        """Undo what a task left. Returns whether the session is as good as new. `thorough`: also what no statement
        shows, such as a setting that a view's function made."""
        driver = self._driver
        if self._spent or driver.is_closed() or (thorough and self._handed_out):
            return False
        if driver.is_in_transaction():
            await driver.execute("ROLLBACK")
        self._depth = 0
        if self._marked or thorough:
            await driver.execute(RESET)
            self._marked = self.settings.always_reset
        return True

    async def ping(self) -> None:
        with self.told():
            await self._driver.fetchval("SELECT 1")

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    def told(self) -> _Told:
        """`with` it: the driver's errors as FlowLang's."""
        return self._told

    async def prepared(self, text: str) -> Statement:
        """The statement, prepared at the server the first time."""
        if self._driver.is_closed():
            raise ConnectionError("the session is closed")
        found = self._statements.get(text)
        if found is None:
            mark = mark_of(text)
            if leading_word(text, POSTGRES) in _DEFINES:
                self._statements.clear()
            if mark != "clean":
                self._marked = True
                self._spent = self._spent or mark == "spent"
            if not self.settings.statement_cache:
                return Statement(await self._driver.prepare(text, name=""))
            found = Statement(await self._driver.prepare(text))
            self._statements[text] = found
            if len(self._statements) > _KEPT_STATEMENTS:
                self._statements.popitem(last=False)
        elif not self._marked and mark_of(text) != "clean":
            self._marked = True
        return found

    async def described(self, text: str) -> list[Any]:
        """The columns that a statement gives now, as asyncpg's attributes (`name`, `type`)."""
        with self.told():
            prepared = await self._driver.prepare(text, name="")
            return list(prepared.get_attributes())

    async def _with(self, text: str, call: Callable[[Statement], Awaitable[Any]]) -> Any:
        """Prepare a statement and use it. One prepared before a table was changed is refused, by the server or by us.
        That has done nothing, so it is prepared again, once, unless a transaction has failed with it."""
        known = text in self._statements
        with self.told():
            try:
                return await call(await self.prepared(text))
            except Exception as error:
                if not known or not self._stale(error):
                    raise
            return await call(await self.prepared(text))

    def _stale(self, error: Exception) -> bool:
        """Whether `error` says, or may mean, that the statements are out of date: a value that does not fit, where the
        type of the column has changed. They are forgotten then."""
        state = state_of(error)
        refused = isinstance(error, FlowExecutionError) and error.error_class == "validation"
        stale = state in ("26000", "42804") or (state == "0A000" and "cached" in str(error)) or refused
        if stale:
            self._statements.clear()
        return stale and not self._driver.is_in_transaction()

    async def fetch(self, text: str, values: Sequence[Any], limit: int | None) -> list[Row]:
        """The rows of a statement, at most `limit` of them."""
        if limit is not None:
            return await self._first(text, values, limit)

        async def call(statement: Statement) -> list[Row]:
            return statement.rows(await statement.prepared.fetch(*statement.values(values)))

        rows: list[Row] = await self._with(text, call)
        return rows

    async def _first(self, text: str, values: Sequence[Any], limit: int) -> list[Row]:
        """From a cursor, so that no more than these rows are sent; what the statement writes is kept whole."""
        async with self.together():
            statement, cursor = await self._with(text, lambda statement: _cursor(statement, values))
            rows: list[Row] = statement.rows(await self._more(cursor, max(limit, 1)))
        return rows[:limit]

    async def run(self, text: str, values: Sequence[Any], *, ready: bool = False) -> StatementResult:
        """A statement's rows, if it gives any, and how many it changed. `ready`: the values need no conversion."""

        async def call(statement: Statement) -> StatementResult:
            sent = values if ready else statement.values(values)
            return statement.result(await statement.prepared.fetch(*sent))

        result: StatementResult = await self._with(text, call)
        return result

    # ── streams ─────────────────────────────────────────────────────────────────────────────────────────────

    async def batches(self, text: str, values: Sequence[Any], size: int) -> AsyncGenerator[Table, None]:
        """The rows in tables of `size`, from a cursor in a transaction. While the consumer works on one the next is
        fetched, unless somebody else's transaction is open: then its owner may use the session in between."""
        alone = not self._driver.is_in_transaction()
        opened = await self.begin() if alone else None
        ahead: asyncio.Task[Any] | None = None
        done = False
        try:
            statement, cursor = await self._with(text, lambda statement: _cursor(statement, values))
            rows = await self._more(cursor, size)
            while rows:
                if alone and len(rows) == size:
                    ahead = asyncio.ensure_future(self._more(cursor, size))
                with self.told():
                    batch = statement.table(rows, vouched=not self._handed_out)
                yield batch
                if len(rows) < size:
                    break
                rows = await (ahead or self._more(cursor, size))
                ahead = None
            done = True
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait([ahead])
            if opened is not None:
                await (self.commit(opened) if done else self.rollback(opened))

    async def _more(self, cursor: Any, size: int) -> Any:
        with self.told():
            return await cursor.fetch(size)

    # ── many records ────────────────────────────────────────────────────────────────────────────────────────

    async def insert(self, job: Insert, records: Records, first: int) -> int:
        return await many.insert(self, job, records, first)

    def alone(self, job: Insert, count: int) -> bool:
        return many.one_copy(job, count) and not self._driver.is_in_transaction()

    async def update(self, job: Update, records: Records, first: int) -> int:
        return await many.update(self, job, records, first)

    # ── COPY ────────────────────────────────────────────────────────────────────────────────────────────────

    async def copy_records(
        self, table: str, schema: str | None, columns: Sequence[str], records: Any, *, clean: bool = False
    ) -> str:
        """COPY records into a table, in the server's binary form. Returns the command tag. `clean`: the table is known
        to run nothing that leaves a mark on the session."""
        self._marked = self._marked or not clean
        with self.told():
            status = await self._driver.copy_records_to_table(
                table, schema_name=schema, columns=columns, records=records
            )
            return str(status)

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    async def execute(self, text: str) -> str:
        """Run statements that take no values. Returns the command tag of the last."""
        if self._driver.is_closed():
            raise ConnectionError("the session is closed")
        with self.told():
            return str(await self._driver.execute(text))

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """All or nothing of what is done in the block."""
        opened = await self.begin()
        try:
            yield
            await self.commit(opened)
        except BaseException:
            await self.rollback(opened)
            raise

    async def begin(self) -> str:
        """Begin a transaction, or a savepoint inside one. Returns the savepoint's name, empty for a transaction."""
        if self._driver.is_in_transaction():
            self._depth += 1
            name = f"flowlang_{self._depth}"
            await self.execute(f"SAVEPOINT {name}")
            return name
        self._depth = 0
        await self.execute("BEGIN")
        return ""

    async def commit(self, savepoint: str) -> None:
        """Keep what was done since `begin`. The server answers ROLLBACK to the COMMIT of a transaction that has failed,
        and calls that a success."""
        status = await self.execute(f"RELEASE {savepoint}" if savepoint else "COMMIT")
        if status == "ROLLBACK":
            raise FlowExecutionError(
                "a statement of the transaction failed earlier, so PostgreSQL has rolled it back: nothing is kept",
                error_class="conflict",
            )

    async def rollback(self, savepoint: str) -> None:
        """Undo what was done since `begin`, where the server has not done so already."""
        if self.closed or not self._driver.is_in_transaction():
            return
        await self.execute(f"ROLLBACK TO {savepoint}; RELEASE {savepoint}" if savepoint else "ROLLBACK")


async def _cursor(statement: Statement, values: Sequence[Any]) -> tuple[Statement, Any]:
    return statement, await statement.prepared.cursor(*statement.values(values))
