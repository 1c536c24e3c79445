"""The database as the tests need it: an empty file of SQLite. For a server it would be one that is started here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Service:
    """`database` is where it is."""

    database: str


@contextmanager
def serving() -> Iterator[Service]:
    """An empty database, as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        yield Service(str(Path(folder) / "it.db"))
