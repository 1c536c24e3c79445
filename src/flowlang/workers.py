"""Runs that others execute: submitted to a store, claimed by workers.

run = await flowlang.workers.submit("orders.yaml", {"day": "2026-11-23"}, store="postgresql://…")
result = await flowlang.workers.result_of(run.id, store="postgresql://…")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flowlang.api import Flow, InvalidFlowError, load
from flowlang.durable.codec import decode
from flowlang.durable.host import hosting
from flowlang.durable.names import refuse_name, refuse_priority
from flowlang.durable.opening import data_folder
from flowlang.durable.pruning import pruned_now_and_then
from flowlang.durable.queues import DEFAULT, Limits, limits_of, remove_limits, set_limits, sizes
from flowlang.durable.records import StoredRun
from flowlang.durable.retention import Retention
from flowlang.durable.run import DurableRun
from flowlang.durable.schedules import StoredSchedule, pause, register, remove
from flowlang.durable.schedules import schedules as all_schedules
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.durable.worker import Settings, Worker
from flowlang.engine.inputs import accept
from flowlang.engine.result import RunResult
from flowlang.events import Sink
from flowlang.exceptions import StoreError
from flowlang.runs import again, captured, opened, plan_of, unkept
from flowlang.runs.refusals import inputs_text

_LOOK = 1.0  # seconds between two looks for the end of a run when nobody is notified
STOPPED = ENDED | {"needs_attention", "parked"}
"""Over, or not going on before somebody decides."""


async def submit(
    flow: Flow | str | os.PathLike[str],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | None = None,
    queue: str = DEFAULT,
    priority: int = 0,
    dedup: str | None = None,
    delay: float = 0.0,
    run_id: str | None = None,
    files_root: str | None = None,
    trace_parent: str | None = None,
    trace_state: str | None = None,
) -> StoredRun:
    """A new run for the workers of a store. With `dedup`, the one of that key in the queue that is not over, if there
    is one. `delay`: seconds before it may begin.

    Raises `InvalidFlowError` for a flow and inputs that are refused, as a run in this process would be; `StoreError`.
    What the flow reads from `env` and `secrets` is looked up by the worker.
    """
    loaded = flow if isinstance(flow, Flow) else load(flow)
    plan, given = loaded.plan, dict(inputs or {})
    options = {
        "files_root": _absolute(files_root), "secrets_file": None,
        "trace_parent": trace_parent, "trace_state": trace_state,
    }  # fmt: skip
    async with opened(store) as own:
        _, findings = accept(plan, given)
        findings = [*findings, *unkept(plan, given, own)]
        if findings:
            raise InvalidFlowError("the run is refused", findings)
        return await own.add(
            captured(loaded.checked), inputs_text(plan, given, own), options,
            run_id=run_id, queue=queue, priority=priority, dedup=dedup, delay=delay, started_by="submit",
        )  # fmt: skip


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)


async def result_of(run_id: str, *, store: Store | str | None = None) -> RunResult:
    """Wait until a run is over, or stops until somebody decides. Raises `StoreError` when there is none of that id."""
    async with opened(store) as own:
        while True:
            record = await own.run(run_id)
            if record is None:
                raise StoreError(f"there is no run `{run_id}` in {own.url}")
            if record.state in STOPPED:
                return await _result(own, record)
            await own.database.wait([f"run:{run_id}"], _LOOK)


async def _result(store: Store, record: StoredRun) -> RunResult:
    plan = plan_of(await store.flow(record.hash))
    outputs = decode(store.sealer.open(record.outputs)) if record.outputs else {}
    began, ended = record.started_at, record.ended_at
    return RunResult(
        record.id, record.flow, record.state, outputs, record.error, record.reason,
        datetime.fromtimestamp(began, UTC) if began is not None else None,
        max(0.0, ended - began) if began is not None and ended is not None else 0.0,
        secret_outputs=frozenset(each.name for each in plan.outputs if each.secret),
    )  # fmt: skip


async def work(
    settings: Settings | None = None,
    *,
    store: Store | str | None = None,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sequence[Sink] = (),
    ready: Callable[[Worker], None] | None = None,
) -> None:
    """Execute what is submitted, until the worker that `ready` was given is stopped. Raises `StoreError` when the store
    cannot be opened; later trouble with it is waited out."""
    async with opened(store) as own, hosting(own) as host:

        async def begin(record: StoredRun) -> DurableRun:
            return await again(host, record, secrets=secrets, env=env, on_event=on_event, leaves=True)

        worker = Worker(host, begin, settings)
        bounds = worker.settings.retention
        if bounds is not None:
            worker.attending.append(lambda: pruned_now_and_then(own, bounds, os.path.join(data_folder(), "flows")))
        if ready is not None:
            ready(worker)
        await worker.work()


async def queues(store: Store | str | None = None) -> dict[str, tuple[Limits, Mapping[str, int]]]:
    """The queues that have limits, or runs that are not over: their limits, and how many runs are in which state."""
    async with opened(store) as own:
        limits, counts = await limits_of(own), await sizes(own)
        return {name: (limits.get(name, Limits(name)), counts.get(name, {})) for name in sorted({*limits, *counts})}


async def set_queue(limits: Limits, store: Store | str | None = None) -> None:
    """Replace the limits of a queue. Raises `StoreError`."""
    async with opened(store) as own:
        await set_limits(own, limits)


async def remove_queue(name: str, store: Store | str | None = None) -> bool:
    """Take the limits of a queue away; whether it had any."""
    async with opened(store) as own:
        return await remove_limits(own, name)


async def schedule(
    flow: Flow | str | os.PathLike[str],
    *,
    store: Store | str | None = None,
    queue: str = DEFAULT,
    priority: int = 0,
    files_root: str | None = None,
) -> list[StoredSchedule]:
    """Let workers begin runs of a flow at the times of its triggers `schedule` and `every`, in place of those that the
    store has for a flow of this name. Raises `InvalidFlowError`, `StoreError` for one without such triggers."""
    loaded = flow if isinstance(flow, Flow) else load(flow)
    if not loaded.plan.schedules:
        raise StoreError(f"flow `{loaded.name}` has no triggers `schedule` or `every`")
    refuse_name("queue", queue)
    refuse_priority(priority)
    options = {"queue": queue, "priority": priority, "files_root": _absolute(files_root)}
    async with opened(store) as own:
        names = await register(own, captured(loaded.checked), loaded.plan.schedules, options)
        return [each for each in await all_schedules(own) if each.id in names]


async def schedules(store: Store | str | None = None) -> list[StoredSchedule]:
    """What workers begin by themselves."""
    async with opened(store) as own:
        return await all_schedules(own)


async def pause_schedule(flow: str, *, paused: bool, store: Store | str | None = None) -> None:
    """Stop beginning runs of a flow, or go on with the next time. Raises `StoreError` when it has no schedules."""
    async with opened(store) as own:
        if not await pause(own, flow, paused=paused):
            raise StoreError(f"there is no schedule of a flow `{flow}` in {own.url}")


async def remove_schedule(flow: str, store: Store | str | None = None) -> None:
    """Forget the schedules of a flow. Raises `StoreError` when it has none."""
    async with opened(store) as own:
        if not await remove(own, flow):
            raise StoreError(f"there is no schedule of a flow `{flow}` in {own.url}")


__all__ = [
    "Limits",
    "Retention",
    "Settings",
    "StoredSchedule",
    "StoredRun",
    "Worker",
    "pause_schedule",
    "queues",
    "remove_queue",
    "remove_schedule",
    "result_of",
    "schedule",
    "schedules",
    "set_queue",
    "submit",
    "work",
]
