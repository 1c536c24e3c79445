"""What a process holds: descriptors, threads, tasks. Counted before and after, to see what a plugin left behind."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from flowlang.conformance.model import Failed
from flowlang.records import frozen

PATIENCE = 2.0  # seconds that something may take to go after it was closed
_DESCRIPTORS = "/proc/self/fd"
# Threads of asyncio's own executor (they resolve names) and of this kit stay.
_OTHERS = re.compile(r"asyncio_\d|conformance-|MainThread")
_INNER = re.compile(r"^(anon_inode:|pipe:|/dev/|/proc/)")


@frozen
class Holdings:
    """`descriptors`: what each open one leads to, and how many there are; `threads` by name; `tasks` of this loop."""

    descriptors: Counter[str]
    threads: frozenset[threading.Thread]
    tasks: frozenset[asyncio.Task[object]]

    def beyond(self, before: Holdings) -> list[str]:
        """What is here and was not there before, in words."""
        opened = self.descriptors - before.descriptors
        found = [f"{count} × {_kind(target)}" for target, count in opened.items()]
        found += [f"the thread {each.name!r}" for each in self.threads - before.threads if each.is_alive()]
        found += [f"the task {_called(each)!r}" for each in self.tasks - before.tasks if not each.done()]
        return found


def holdings() -> Holdings:
    """What this process holds now."""
    current = asyncio.current_task()
    threads = frozenset(each for each in threading.enumerate() if not _OTHERS.match(each.name))
    tasks = frozenset(each for each in asyncio.all_tasks() if each is not current)
    return Holdings(_descriptors(), threads, tasks)


def _descriptors() -> Counter[str]:
    """Sockets and files by what they lead to; empty where the system does not tell (outside Linux)."""
    found: Counter[str] = Counter()
    if not os.path.isdir(_DESCRIPTORS):
        return found
    for name in os.listdir(_DESCRIPTORS):
        try:
            target = os.readlink(f"{_DESCRIPTORS}/{name}")
        except OSError:
            continue  # the one that listed them
        if not _INNER.match(target):
            found[target] += 1
    return found


def _kind(target: str) -> str:
    return "open socket" if target.startswith("socket:") else f"open file {target}"


def _called(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())


async def settle(reached: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Give the loop turns until `reached` is true; False when it is not within `patience` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not reached():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.002)
    return True


@asynccontextmanager
async def nothing_left(where: str) -> AsyncIterator[None]:
    """After the block everything that was opened in it must be gone. Raises `Failed` that names what is left."""
    before = holdings()
    yield
    if not await settle(lambda: not holdings().beyond(before)):
        raise Failed(f"{where} leaves {', '.join(holdings().beyond(before))}")


async def ends(work: Awaitable[object], seconds: float, what: str) -> BaseException | None:
    """Await `work`, which has to end within `seconds`. Returns what it raised, None when nothing."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        raise Failed(f"{what} did not end within {seconds:g} s")
    return asyncio.CancelledError() if task.cancelled() else task.exception()
