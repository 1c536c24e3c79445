"""Begin a run anew that is over, with what may be taken over of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from flowlang.api import Flow, InvalidFlowError, load
from flowlang.diagnostics import nearest
from flowlang.durable.execution import inputs_of
from flowlang.durable.host import Host
from flowlang.durable.places import places, static
from flowlang.durable.records import StoredRun
from flowlang.durable.run import DurableRun
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.events import Sink
from flowlang.exceptions import StoreError
from flowlang.history.listing import find
from flowlang.history.story import told_by
from flowlang.runs.flows import captured
from flowlang.runs.refusals import accepted, secrets_of, unkept

_TURN = re.compile(r"\[\d+\]")


async def retried(
    host: Host,
    run_id: str,
    flow: Flow | None = None,
    *,
    start: str | None = None,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sequence[Sink] = (),
) -> DurableRun:
    """A new run with the inputs of one that is over, which takes over what of that one's steps it may. `flow`: as it is
    now; by default the file that the run came from. `start`: the step from which on all is done again.

    Raises `StoreError`, `InvalidFlowError`.
    """
    store, environment = host.store, os.environ if env is None else env
    old = await find(store, run_id)
    if old.state not in ENDED:
        raise StoreError(
            f"run `{old.id}` has not ended: it is {old.state}; `flowlang runs resume {old.id}` is for that"
        )
    if not old.durable:
        raise StoreError(f"run `{old.id}` was in memory, and only recorded: there is nothing of it to take over")
    loaded = flow or load((await store.flow(old.hash)).file)
    if start is not None:
        await _refuse_start(store, old, loaded, start)
    known, missing = secrets_of(old, loaded.plan, secrets or {}, environment)
    values = accepted(loaded.plan, inputs_of(store, old))
    findings = [*missing, *unkept(loaded.plan, {}, store)]
    if findings:
        raise InvalidFlowError("the run is refused", findings)
    options = {**old.options, "retry_from": start, "seed": old.options.get("seed") or old.id}
    record = await store.add(
        captured(loaded.checked), old.inputs, options, owner=host.executor.id, origin=old.id, attempt=old.attempt + 1
    )
    return await host.prepare(
        record, loaded.plan, accept=lambda *_: values, env=environment, secrets=known, sinks=on_event
    )


async def _refuse_start(store: Store, old: StoredRun, flow: Flow, start: str) -> None:
    """Raises `StoreError` when there is no step `start` in the flow, or when it is of a turn that the run had not."""
    if "[*]" in start:
        raise StoreError(
            f"`{start}` is a step of every turn: name one turn, as `[0]`, or the loop to do all of it again"
        )
    known = dict(places(flow.plan))
    if static(start) not in known:
        close = nearest(static(start), list(known))
        turns = iter(_TURN.findall(start))
        close = close and re.sub(r"\[\*\]", lambda _: next(turns, "[0]"), close)
        told = f"did you mean `{close}`?" if close else "`flowlang runs show` has the paths"
        raise StoreError(f"there is no step `{start}` in the flow `{flow.name}`: {told}")
    paths: set[str] | None = None
    for turn in _TURN.finditer(start):
        if paths is None:
            events = (each.get("path") for each in await told_by(store, old.id))
            paths = {each.path for each in await store.steps(old.id)} | {path for path in events if path is not None}
        if any(path.startswith(start[: turn.end()]) for path in paths):
            continue
        loop = start[: turn.start()]
        there = {int(found[1]) for path in paths if (found := re.match(re.escape(loop) + r"\[(\d+)\]", path))}
        had = f"the last one was `{loop}[{max(there)}]`" if there else f"`{loop}` had no turns"
        raise StoreError(f"run `{old.id}` had no turn `{start[: turn.end()]}`: {had}")
