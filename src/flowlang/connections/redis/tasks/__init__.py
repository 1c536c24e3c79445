"""The tasks of the Redis connection type, by topic: task name → function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowlang.connections.redis.tasks import hashes, keys, strings

TASKS: dict[str, Callable[..., Any]] = {
    name: function for topic in (strings, keys, hashes) for name, function in topic.TASKS.items()
}
