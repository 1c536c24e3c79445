"""Connection types for the tests, written as plugin authors write theirs: the guide's, and one of every type."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import AsyncIterator
from typing import Any, Literal, NotRequired, TypedDict

import flowlang
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRegistry
from flowlang.connections.sqlite import SQLitePlugin
from flowlang.tasks.values import Secret


class _Client(ConnectionPlugin):
    """A service with one client."""

    version = "1.0.0"

    async def connect(self, config: dict[str, Any]) -> Any:
        self._client = object()
        return self._client

    async def disconnect(self) -> None:
        self._client = None

    async def get_connection(self) -> Any:
        return self._client

    async def release_connection(self, connection: Any) -> None:
        pass


class MyServicePlugin(_Client):
    """The service of the guide."""

    name = "myservice"
    description = "MyService API connection"

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["api_key"],
            "properties": {
                "api_key": {"type": "string", "description": "Key of the API"},
                "base_url": {"type": "string", "default": "https://api.example.com"},
                "timeout": {"type": "number", "default": 30.0, "minimum": 1.0},
                "retries": {"type": "integer", "minimum": 0, "maximum": 5},
                "verify": {"type": "boolean", "default": True},
                "region": {"type": "string", "enum": ["eu", "us"]},
                "auth": {"type": "object", "properties": {"user": {"type": "string"}, "password": {"type": "string"}}},
            },
        }

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        if not config["api_key"].startswith("sk_"):
            return False, "Invalid API key format"
        return True, None

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"myservice_get": self._task_get, "myservice_create": self._task_create}

    async def _task_get(self, resource_id: str, connection: Any = None) -> dict[str, Any]:
        return {"data": {"id": resource_id}}

    async def _task_create(self, data: dict[str, Any], active: bool = True, connection: Any = None) -> dict[str, Any]:
        return {"id": "1", "data": data}


class Entry(TypedDict):
    key: str
    weight: NotRequired[float]


class Found(TypedDict):
    """What `memo_find` gives."""

    entries: list[Entry]
    total: int
    newest: datetime.datetime | None
    token: Secret[str]


class Saved(TypedDict):
    key: str


class MemoPlugin(_Client):
    """A service whose tasks want something of every type."""

    name = "memo"
    description = "Keeps notes"

    def get_config_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}}

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"memo_find": self.find, "memo_save": self.save, "memo_rows": self.rows, "memo_load": self.load}

    @flowlang.task(effect="read", idempotent=True)
    async def find(
        self,
        tags: list[str] | None = None,
        limit: int = 10,
        since: datetime.datetime | None = None,
        within: datetime.timedelta | None = None,
        order: Literal["newest", "oldest"] = "newest",
        archived: bool = False,
        connection: Any = None,
    ) -> Found:
        """Find notes."""
        raise NotImplementedError

    @flowlang.task(effect="write")
    async def save(
        self,
        entry: Entry,
        more: list[Entry] | None = None,
        price: decimal.Decimal | None = None,
        password: Secret[str] | None = None,
        connection: Any = None,
    ) -> Saved:
        """Keep a note."""
        raise NotImplementedError

    @flowlang.task(effect="read")
    async def rows(self, connection: Any = None) -> AsyncIterator[list[dict[str, Any]]]:
        """All notes, as a stream."""
        yield []

    @flowlang.task(effect="write", idempotent=True)
    async def load(self, rows: AsyncIterator[list[dict[str, Any]]], connection: Any = None) -> Saved:
        """Keep a stream of notes."""
        raise NotImplementedError


class NeedyPlugin(MemoPlugin):
    """A plugin whose driver is not installed."""

    name = "needy"
    description = "Needs a package that nobody has"

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"needy_find": self.find}

    def get_dependencies(self) -> list[str]:
        return ["flowlang-test-no-such-client>=1.0.0"]


def registry() -> PluginRegistry:
    """The types that the cases are checked with, whatever is installed."""
    known = PluginRegistry(discover=False)
    for each in (SQLitePlugin, MyServicePlugin, MemoPlugin, NeedyPlugin):
        known.register(each)
    return known
