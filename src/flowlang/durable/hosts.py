"""A PostgreSQL at one of several hosts: `postgresql://USER@HOST1,HOST2:PORT/DATABASE` is whichever can be written.

The driver reads such addresses, but has one time limit for all of them: a host that is gone, and answers nothing,
takes it up before the next one is tried. So each is tried by itself, the one first that was good the last time.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

_WANTED = "target_session_attrs"


class Hosts:
    """Of an address. `connect` opens a connection of the driver to the first of them that will do."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        account, at, hosts = parts.netloc.rpartition("@")
        several = hosts.split(",")
        self._urls = {each: urlunsplit(parts._replace(netloc=account + at + each)) for each in several}
        if len(several) == 1:
            self._urls = {hosts: url}
        said = _WANTED in parse_qs(parts.query) or "PGTARGETSESSIONATTRS" in os.environ
        self._wanted = {} if said or len(self._urls) == 1 else {_WANTED: "read-write"}

    async def connect(self, seconds: float, **options: Any) -> Any:
        """Within so many seconds. Raises what the driver raises; `OSError` when none of several will do."""
        import asyncpg

        troubles = []
        for host, url in list(self._urls.items()):
            try:
                connection = await asyncpg.connect(
                    url, timeout=seconds / len(self._urls), **{**options, **self._wanted}
                )
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
                    asyncpg.TargetServerAttributeNotMatched) as error:  # fmt: skip
                if len(self._urls) == 1 and not isinstance(error, asyncpg.TargetServerAttributeNotMatched):
                    raise
                troubles.append(f"`{host}`: {str(error) or type(error).__name__}")
                continue
            self._urls = {host: url, **self._urls}
            return connection
        raise ConnectionError(f"no host of it can be used now ({'; '.join(troubles)})")

    async def for_pool(self, address: str, **options: Any) -> Any:
        """As the driver's pool asks for a connection, with an address that is ours anyway."""
        return await self.connect(options.pop("timeout"), **options)
