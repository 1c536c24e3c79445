"""How a SQLite connection is configured."""

from __future__ import annotations

import os
from typing import Any

from flowlang.exceptions import ConnectionError
from flowlang.records import frozen

MEMORY = ":memory:"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["database"],
    "additionalProperties": False,
    "properties": {
        "database": {
            "type": "string",
            "minLength": 1,
            "description": "Path of the file, from the working directory, or `:memory:`",
        },
        "timeout": {
            "type": "number",
            "minimum": 0,
            "maximum": 3600,
            "default": 5,
            "description": "Seconds to wait for a lock that another connection holds",
        },
        "isolation_level": {
            "enum": ["DEFERRED", "IMMEDIATE", "EXCLUSIVE"],
            "type": "string",
            "default": "IMMEDIATE",
            "description": "How transactions begin",
        },
        "pool_size": {
            "type": "integer",
            "minimum": 1,
            "maximum": 64,
            "default": 4,
            "description": "Handles that may be open at once; always 1 for `:memory:`",
        },
        "read_only": {
            "type": "boolean",
            "default": False,
            "description": "Open an existing file for reading only",
        },
        "allow_attach": {
            "type": "boolean",
            "default": False,
            "description": "Allow ATTACH and VACUUM INTO, which open further files",
        },
    },
}


@frozen
class Settings:
    """How a handle opens. `path` is `:memory:` or absolute; `timeout`: seconds to wait for a lock."""

    path: str
    timeout: float = 5.0
    begin: str = "BEGIN IMMEDIATE"
    read_only: bool = False
    allow_attach: bool = False


def settings_of(config: dict[str, Any]) -> Settings:
    """What a checked config says."""
    database = config["database"]
    return Settings(
        path=database if database == MEMORY else os.path.abspath(database),
        timeout=float(config.get("timeout", 5)),
        begin=f"BEGIN {config.get('isolation_level') or 'IMMEDIATE'}",
        read_only=bool(config.get("read_only", False)),
        allow_attach=bool(config.get("allow_attach", False)),
    )


def problem(config: dict[str, Any]) -> str | None:
    """What the schema cannot say about a config, where that is wrong."""
    database = config["database"]
    if database == MEMORY:
        return "`read_only` makes no sense for `:memory:`, which begins empty" if config.get("read_only") else None
    if database.strip() == "" or "\0" in database:
        return "`database` must be the path of a file, or `:memory:`"
    if database.lower().startswith("file:"):
        return "`database` is a path, not a `file:` URI; `read_only: true` opens a file for reading"
    if database.startswith(":"):
        return f"`database` is {database!r}; the only special name is `:memory:`"
    return None


def check_path(settings: Settings) -> None:
    """Say plainly what SQLite calls "unable to open database file"."""
    if settings.path == MEMORY:
        return
    path = settings.path
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ConnectionError(f"the folder of the database does not exist: {folder}", retryable=False)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConnectionError(f"the database is no ordinary file: {path}", retryable=False)
    if settings.read_only and not os.path.exists(path):
        raise ConnectionError(f"the database to be read does not exist: {path}", retryable=False)
