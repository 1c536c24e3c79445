"""What the store asks of a database: statements with `:name` parameters, and transactions. Two keep its promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

Row = Mapping[str, Any]
T = TypeVar("T")


class Statements(Protocol):
    async def fetch(self, statement: str, **values: Any) -> Sequence[Row]:
        """The rows of a statement. `:name` stands for a value, `{now}` for the time by the clock of the database."""

    async def execute(self, statement: str, **values: Any) -> int:
        """How many rows a statement changed."""


class Transaction(Statements, Protocol):
    async def lock(self, name: str) -> None:
        """Until the end of the transaction nobody else has the lock of that name."""


class Database(Statements, Protocol):
    """Statements outside a transaction are one of their own each. Raises `StoreUnavailable` and `StoreError`."""

    url: str  # without a password
    types: Mapping[str, str]  # what `{…}` stands for in `schema`

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `work` gives; what it does with the transaction is kept whole at its end, or not at all. Where the
        database has undone it, since it met another, `work` is called again: it does nothing else."""

    async def has_table(self, name: str) -> bool:
        """Whether there is a table of that name where ours are."""

    async def notify(self, topic: str) -> None:
        """Wake whoever waits for `topic`, here and in other processes."""

    async def wait(self, topics: Sequence[str], seconds: float) -> None:
        """Return when one of `topics` was notified since the last wait, or after so long."""

    async def close(self) -> None: ...
