"""A FlowLang connection to key-value pairs in one JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import ConnectionError, FlowExecutionError


class Store:
    """The open file: all pairs in memory, written back whole after each change."""

    def __init__(self, path: Path, indent: int) -> None:
        self.path = path
        self.indent = indent
        self.pairs: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def save(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.pairs, indent=self.indent, ensure_ascii=False), "utf-8")
        new.replace(self.path)  # at once: a reader sees the old file or the new one, never half of it


class Found(TypedDict):
    """`value`: what is kept under the key, null when there is nothing. `found`: whether the key is there."""

    value: Any
    found: bool


class Kept(TypedDict):
    """`replaced`: whether the key had a value before."""

    replaced: bool


class KvFilePlugin(ConnectionPlugin):
    """Keeps values between runs, in a file that people can read."""

    name = "kvfile"
    description = "Key-value pairs in a JSON file"
    version = "1.0.0"

    def __init__(self) -> None:
        super().__init__()
        self._store: Store | None = None

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["path"],
            "additionalProperties": False,
            "properties": {
                "path": {"type": "string", "description": "The file; it is created by the first write"},
                "indent": {"type": "integer", "default": 2, "minimum": 0, "description": "Indentation in spaces"},
            },
        }

    async def connect(self, config: dict[str, Any]) -> Store:
        try:
            self._store = Store(Path(config["path"]), config["indent"])
        except (OSError, ValueError) as error:
            raise ConnectionError(f"cannot read {config['path']}: {error}") from error
        return self._store

    async def disconnect(self) -> None:
        self._store = None

    async def get_connection(self) -> Store:
        if self._store is None:
            raise ConnectionError("the file is not open")
        return self._store

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        return {"kvfile_get": self._task_get, "kvfile_set": self._task_set}

    async def _task_get(self, key: str, connection: Any = None) -> Found:
        """Read one value.

        Args:
            key: the key; one that is not there gives null
        """
        return {"value": connection.pairs.get(key), "found": key in connection.pairs}

    async def _task_set(self, key: str, value: Any, connection: Any = None) -> Kept:
        """Keep one value.

        Args:
            key: the key
            value: anything that JSON can hold
        """
        replaced = key in connection.pairs
        connection.pairs[key] = value
        try:
            connection.save()
        except (OSError, TypeError, ValueError) as error:
            raise FlowExecutionError(f"cannot write {connection.path}: {error}") from error
        return {"replaced": replaced}
