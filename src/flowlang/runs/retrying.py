"""Begin a run anew that is over, with what may be taken over of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from flowlang.api import Flow, InvalidFlowError, load
from flowlang.durable.execution import inputs_of
from flowlang.durable.host import Host
from flowlang.durable.places import places, static
from flowlang.durable.run import DurableRun
from flowlang.durable.schema import ENDED
from flowlang.events import Sink
from flowlang.exceptions import StoreError
from flowlang.history.listing import find
from flowlang.runs.flows import captured
from flowlang.runs.refusals import accepted, secrets_of, unkept


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
    if start is not None and static(start) not in dict(places(loaded.plan)):
        raise StoreError(f"there is no step `{start}` in the flow `{loaded.name}`: `flowlang runs show` has the paths")
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
