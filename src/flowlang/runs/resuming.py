"""Let runs go on whose processes are gone, or that stopped for somebody to decide."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowlang.api import InvalidFlowError
from flowlang.durable.codec import encode
from flowlang.durable.decisions import Decisions, decide, refuse, rehabilitate
from flowlang.durable.host import Host, hosting
from flowlang.durable.liveness import gone
from flowlang.durable.places import places, static, task_of
from flowlang.durable.records import StoredRun, run_of
from flowlang.durable.run import DurableRun
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.engine.result import RunResult
from flowlang.events import Sink
from flowlang.exceptions import StoreError
from flowlang.history.listing import find
from flowlang.masking import Masker
from flowlang.runs.beginning import handle_of
from flowlang.runs.flows import plan_of
from flowlang.runs.refusals import accepted, kept_text, secrets_of
from flowlang.runs.stores import opened


async def again(
    host: Host,
    record: StoredRun,
    *,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sequence[Sink] = (),
    leaves: bool = False,
) -> DurableRun:
    """The next life of a run that `host` owns. Raises `InvalidFlowError`, `StoreError`."""
    plan = plan_of(await host.store.flow(record.hash))
    environment = os.environ if env is None else env
    known, missing = secrets_of(record, plan, secrets or {}, environment)
    if missing:
        first = missing[0]
        raise InvalidFlowError(f"{first.message}: {first.suggestion}" if first.suggestion else first.message, missing)
    return await host.prepare(
        record, plan, accept=accepted, env=environment, secrets=known, sinks=on_event, leaves=leaves
    )


async def resume(
    run_id: str,
    *,
    retry: Sequence[str] = (),
    skip: Mapping[str, Any] | None = None,
    store: Store | str | None = None,
    **options: Any,
) -> RunResult:
    """Let a run go on whose process is gone, or that stopped for somebody to decide. Of steps whose outcome is unknown,
    those in `retry` are done again, and those in `skip` were done, with these outputs.

    `run_id`: the id, or the beginning of it. Raises `StoreError` when there is none, it has ended, or it runs.
    """
    async with opened(store, make=False) as own, hosting(own) as host:
        record = await taken(host, run_id, retry, skip)
        return await handle_of(host, await again(host, record, **options))


async def taken(host: Host, run_id: str, retry: Sequence[str] = (), skip: Mapping[str, Any] | None = None) -> StoredRun:
    """The run, made this process's own, with what was decided about it. Raises `StoreError` when that cannot be, and
    `InvalidFlowError` where something is missing that its flow needs; it stays as it is then."""
    store = host.store
    known = await find(store, run_id)
    if known.state in ENDED:
        raise StoreError(f"run `{known.id}` is over: {known.state}")
    if not known.durable:
        raise StoreError(f"run `{known.id}` was in memory, and only recorded: it cannot go on")
    if known.owner is not None and not await gone(store, known.owner):
        raise StoreError(f"run `{known.id}` is under way in another process")
    decisions = Decisions(frozenset(retry), await _kept_outputs(store, known, skip or {}))
    refuse(decisions, await store.steps(known.id) if decisions else (), known.id)
    plan_of(await store.flow(known.hash))
    record = await store.take(known.id, host.executor.id, dead=known.owner)
    if record is None:
        raise StoreError(f"run `{known.id}` was taken by another process just now")
    if decisions:
        await decide(store, record, decisions)
    if known.state == "parked":
        await rehabilitate(store, record)
    return record


async def _kept_outputs(store: Store, run: StoredRun, skip: Mapping[str, Any]) -> dict[str, str]:
    """Outputs that somebody names, as the journal keeps them."""
    if not skip:
        return {}
    plan, kept = plan_of(await store.flow(run.hash)), {}
    steps, masker = dict(places(plan)), Masker(secrets_of(run, plan, {}, os.environ)[0].values())
    for path, outputs in skip.items():
        if not isinstance(outputs, dict):
            raise StoreError(f"the outputs of `{path}` are an object with its outputs by name, not {outputs!r}")
        step, task = steps.get(static(path)), task_of(plan, path)
        missing = [name for name in (task and task.outputs) or () if name not in outputs]
        if missing and step is not None and step.site.id is not None:
            told = ", ".join(f"`{name}`" for name in missing)
            example = encode(dict.fromkeys(missing))
            raise StoreError(f"`{path}` gives {told}, which later steps may read: say what with --outputs '{example}'")
        text = kept_text(outputs, f"the outputs of `{path}`")
        secret = getattr(step, "secret_outputs", False) or masker.text(text) != text
        kept[path] = store.sealer.seal(text) if secret or store.sealer.ready else text
    return kept


async def interrupted(store: Store) -> list[StoredRun]:
    """The runs whose processes are gone, the oldest first. One whose row is damaged is among them: to resume it says
    so."""
    rows: Iterable[Any] = await store.database.fetch(
        "SELECT id, owner FROM flowlang_runs WHERE owner IS NOT NULL AND durable = 1 ORDER BY created_at, id"
    )
    dead: dict[str, bool] = {}
    found = []
    for row in rows:
        owner = row["owner"]
        if owner not in dead:
            dead[owner] = await gone(store, owner)
        if dead[owner]:
            there = await store.database.fetch("SELECT * FROM flowlang_runs WHERE id = :id", id=row["id"])
            found += [run_of(each, shown=True) for each in there]
    return found
