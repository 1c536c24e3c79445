"""Stores, opened by their addresses, and where the one is that nobody has named."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from flowlang.durable import formats
from flowlang.durable.database import Database
from flowlang.durable.sealing import Sealer
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

VARIABLE = "FLOWLANG_STORE"


async def open_store(url: str | None = None, env: Mapping[str, str] | None = None, *, make: bool = True) -> Store:
    """The store at `url`; else that of `FLOWLANG_STORE`; else the file `runs.db` in the user's data folder.

    Raises `StoreError`: no such database, another format, no driver; `NoStore` for a file that is not there, and that
    is not to be made.
    """
    environment = os.environ if env is None else env
    address = url or environment.get(VARIABLE) or f"sqlite:///{default_path()}"
    database: Database
    try:
        urlsplit(address)
    except ValueError as error:  # what is in it stays unsaid: it may hold a password
        raise StoreError(f"this is no address of a store: {error}") from None
    if address.startswith("sqlite:"):
        from flowlang.durable.sqlite import open_sqlite

        database = await open_sqlite(address, make=make)
    elif address.startswith(("postgresql:", "postgres:")):
        from flowlang.durable.postgres import open_postgres

        database = await open_postgres(address)
    else:
        kind = address.partition(":")[0]
        raise StoreError(f"a store is `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`, not `{kind}:…`")
    try:
        await formats.prepare(database)
        store = Store(database, Sealer(environment))
        await store.look_at_clock()
    except BaseException:
        await database.close()
        raise
    return store


def data_folder() -> str:
    """Where this user's programs keep their data."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(base, "flowlang")


def default_path() -> str:
    return os.path.join(data_folder(), "runs.db").replace(os.sep, "/")
