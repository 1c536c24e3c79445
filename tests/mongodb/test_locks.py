"""The lock that stands in for the driver's: one holder at a time, and nobody is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from flowlang.connections.mongodb.client import Lock


async def test_one_holds_it_at_a_time_whoever_is_cancelled_meanwhile() -> None:
    lock = Lock()
    inside: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> None:
        for turn in range(5):
            async with lock:
                inside.append(number)
                try:
                    for _ in range(1 + (number + turn) % 3):
                        await asyncio.sleep(0)
                        assert inside == [number]
                finally:
                    inside.remove(number)
        ended.append(number)

    async def cut(task: asyncio.Task[None], after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()

    tasks = [asyncio.ensure_future(work(number)) for number in range(30)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(cut(each, 2 + number) for number, each in enumerate(tasks[::3])))
        await asyncio.wait(tasks)
    assert sorted(ended) == [number for number in range(30) if number % 3]
    assert not lock.locked()


async def test_who_comes_when_it_is_free_does_not_queue() -> None:
    """Also while another one, who has been woken, has not come to its turn."""
    lock = Lock()
    await lock.acquire()
    waiting = asyncio.ensure_future(lock.acquire())
    await asyncio.sleep(0)
    lock.release()
    taking = lock.acquire()
    with pytest.raises(StopIteration):
        taking.send(None)  # it has it without a turn of the loop
    assert not waiting.done()
    lock.release()
    await asyncio.wait_for(waiting, 10)
    assert lock.locked()
    lock.release()
    with pytest.raises(RuntimeError, match="not held"):
        lock.release()
