"""`SqlHandle`: what a SQL plugin does with its driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import Any

from flowlang.connections._sql.records import Insert, Records, Update
from flowlang.connections._sql.results import Row, StatementResult
from flowlang.tasks.table import Table


class SqlHandle(ABC):
    """A session with a database, as a task gets it for its `connection`. One task uses it at a time.

    Every call but `reset` and `close` raises FlowLang's errors with their class, never the driver's.
    """

    # ── lifetime, as `Pool` wants it ────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def open(self) -> None:
        """Open the session. Whatever goes wrong, nothing stays open."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it is closed, by us or as far as we know by the other end."""

    @abstractmethod
    async def reset(self, *, thorough: bool = False) -> bool:
        """Undo what a task left open. Returns whether the session is as good as new. `thorough`: it passes from one run
        to another, so also what no statement shows to have been left."""

    @abstractmethod
    async def close(self) -> None:
        """End the session, with the statement that runs in it. Closing twice does nothing."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise when the database does not answer."""

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        """The rows of a statement, at most `limit` of them."""

    @abstractmethod
    async def run(self, text: str, values: list[Any]) -> StatementResult:
        """A statement's rows, if it gives any, and how many it changed."""

    @abstractmethod
    def batches(self, text: str, values: list[Any], size: int) -> AsyncGenerator[Table, None]:
        """A statement's rows in tables of `size`, from a cursor: bounded memory, closed with the generator."""

    # ── many records ────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def insert(self, job: Insert, records: Records, first: int) -> int:
        """Insert records (any number of them) inside the open transaction. Returns the rows inserted or updated.

        `first` is the number of the first record, for messages."""

    def alone(self, job: Insert, count: int) -> bool:
        """Whether one call of `insert` for so many records is all or nothing without a transaction around it."""
        return False

    @abstractmethod
    async def update(self, job: Update, records: Records, first: int) -> int:
        """Update records inside the open transaction. Returns the rows whose key was found."""

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def begin(self) -> str:
        """Begin a transaction, or a savepoint inside one. Returns the savepoint's name, empty for a transaction."""

    @abstractmethod
    async def commit(self, savepoint: str) -> None:
        """Keep what was done since `begin`. Raises when the database keeps nothing of it."""

    @abstractmethod
    async def rollback(self, savepoint: str) -> None:
        """Undo what was done since `begin`, where the database has not done so already."""
