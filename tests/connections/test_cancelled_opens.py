"""A `connect()` that is cancelled at any turn of the event loop leaves nothing, whichever connection type it is of.

The turns of a driver's own tasks count too: one that watches its servers may be half-way into a socket when the
connection is closed.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang.connections import plugin_registry
from flowlang.connections.config import prepare

MOST = 200  # turns; an open takes 5 to 60


class Turns(selectors.DefaultSelector):
    """Counts the turns of an event loop, and cancels a task at the one that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.task: asyncio.Task[Any] | None = None
        self.cancelled = False

    def select(self, timeout: float | None = None) -> Any:
        if self.task is not None:
            self.left -= 1
            if self.left == 0:
                self.cancelled = self.task.cancel()
                timeout = 0
        return super().select(timeout)


def config_of(kind: str, url: Callable[[str], str], folder: Path) -> dict[str, Any]:
    match kind:
        case "http":
            return {"base_url": "http://127.0.0.1:1", "allow_private": True}
        case "sqlite":
            return {"database": str(folder / "a.db")}
        case "mongodb":
            return {"url": url(kind), "database": "cancelled"}
        case _:
            return {"url": url(kind)}


async def opened(plugin: Any, config: dict[str, Any], turns: Turns, at: int) -> bool:
    """Whether `connect()` was cancelled at that turn; false where it had come to its end before."""
    opening = asyncio.ensure_future(plugin.connect(config))
    turns.task, turns.left, turns.cancelled = opening, at, False
    await asyncio.wait({opening})
    turns.task = None
    await plugin.disconnect()
    assert opening.cancelled() == turns.cancelled
    return turns.cancelled


@pytest.mark.parametrize("kind", ["http", "mongodb", "mysql", "postgres", "redis", "sqlite"])
def test_an_open_that_is_cancelled_at_any_turn_leaves_nothing(
    kind: str, shared_server: Callable[[str], str], tmp_path: Path
) -> None:
    prototype: Any = plugin_registry.get(kind)
    prepared = prepare(prototype, config_of(kind, shared_server, tmp_path))
    assert prepared.problems == ()
    turns = Turns()
    threads = threading.active_count()
    gc.freeze()  # what was there before need not be looked through each time
    with (
        warnings.catch_warnings(record=True) as found,
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner,
    ):
        warnings.simplefilter("always")
        for at in range(1, MOST):
            going = runner.run(opened(type(prototype)(), dict(prepared.config), turns, at))
            gc.collect()
            assert [str(each.message) for each in found] == [], f"cancelled at turn {at}"
            assert asyncio.all_tasks(runner.get_loop()) == set(), f"cancelled at turn {at}"
            if not going:
                break
        assert not going
    gc.unfreeze()
    assert threading.active_count() <= threads + 1  # the loop's resolver of names
