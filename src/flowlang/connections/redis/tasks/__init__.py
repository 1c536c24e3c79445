"""The tasks of the Redis connection type, by topic: task name → function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowlang.connections.redis.tasks import (
    bulk,
    groups,
    hashes,
    keys,
    lists,
    locks,
    sets,
    sorted_sets,
    streams,
    strings,
    together,
)

_TOPICS = (strings, keys, hashes, lists, sets, sorted_sets, streams, groups, bulk, together, locks)
TASKS: dict[str, Callable[..., Any]] = {name: each for topic in _TOPICS for name, each in topic.TASKS.items()}
