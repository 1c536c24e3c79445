"""Credentials that get out."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from tests.conformance.double.provider import LineKVPlugin, Value
from tests.conformance.mutants import catches

from flowlang.exceptions import ConnectionError
from flowlang.tasks.decorator import task


class Remembers(LineKVPlugin):
    """Keeps its config, as the guide's plugin does."""

    def __init__(self) -> None:
        super().__init__()
        self._config: dict[str, Any] = {}

    async def connect(self, config: dict[str, Any]) -> Any:
        self._config = config
        return await super().connect(config)

    @property
    def secret(self) -> str:
        return self.place(self._config)[3]


@catches("secrets/repr-clean")
class Shows(Remembers):
    def __repr__(self) -> str:
        return f"LineKV({self._config})"


@catches("secrets/pickle-clean")
class Pickles(Remembers):
    def __getstate__(self) -> Any:
        return {"config": self._config}


@catches("secrets/errors-clean")
class TellsConfig(Remembers):
    async def connect(self, config: dict[str, Any]) -> Any:
        try:
            return await super().connect(config)
        except Exception as error:
            raise ConnectionError(f"no connection with {config}") from error


@catches("secrets/logs-clean")
class LogsConfig(Remembers):
    async def connect(self, config: dict[str, Any]) -> Any:
        logging.getLogger("linekv").debug("opening %s", config)
        return await super().connect(config)


@catches("secrets/outputs-clean")
class GivesPassword(Remembers):
    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> Value:
        """Read a value.

        Args:
            key: its name
        """
        return {"value": {"it": await self.ask(connection, "GET", key=key), "as": self.secret}}


@catches("secrets/events-clean")
class EncodesTwice(Remembers):
    """What it tells is encoded in a way that masking by FlowLang does not know."""

    async def connect(self, config: dict[str, Any]) -> Any:
        from urllib.parse import quote

        try:
            return await super().connect(config)
        except Exception as error:
            twice = quote(quote(self.place(config)[3], safe=""), safe="").lower()
            raise ConnectionError(f"no connection to linekv://{twice}@here") from error


@catches("secrets/url-clean")
class TellsUrl(Remembers):
    async def connect(self, config: dict[str, Any]) -> Any:
        try:
            return await super().connect(config)
        except Exception as error:
            raise ConnectionError(f"no connection to {config.get('url')}") from error


@catches("secrets/short-secrets")
class MasksByReplacing(Remembers):
    async def connect(self, config: dict[str, Any]) -> Any:
        try:
            return await super().connect(config)
        except Exception as error:  # noqa: BLE001 - as its model does
            raise ConnectionError(str(error).replace(self.place(config)[3], "***")) from None


@catches("secrets/scaffold-clean")
class ScaffoldsLiteral(Remembers):
    def scaffold_connection_config(self, name: str = "api", **kwargs: Any) -> str:
        return f"  {name}:\n    type: linekv\n    host: localhost\n    password: changeme\n"


@catches("secrets/rotated")
class RemembersCredential(Remembers):
    credentials: ClassVar[dict[tuple[str, int], str]] = {}

    def place(self, config: dict[str, Any]) -> tuple[str, int, str, str]:
        host, port, user, password = super().place(config)
        return host, port, user, self.credentials.setdefault((host, port), password)
