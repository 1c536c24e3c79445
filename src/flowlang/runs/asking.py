"""What is asked of runs from outside of their processes."""

from __future__ import annotations

import os
from typing import Any

from flowlang.api import InvalidFlowError
from flowlang.durable import retention, signals
from flowlang.durable.execution import inputs_of
from flowlang.durable.opening import data_folder
from flowlang.durable.records import StoredRun
from flowlang.durable.retention import Pruned, Retention
from flowlang.durable.schema import ENDED
from flowlang.durable.sealing import NoKey
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.history.listing import find
from flowlang.masking import Masker
from flowlang.runs.flows import plan_of
from flowlang.runs.refusals import kept_text, secrets_of
from flowlang.runs.stores import opened


async def send_signal(run_id: str, name: str, payload: Any = None, *, store: Store | str | None = None) -> str:
    """Send a signal; the state of its run. It is kept until the run waits for it. Raises `StoreError` for a run that
    is not there, or over."""
    async with opened(store, make=False) as own:
        run = await find(own, run_id)
        state = await signals.send(own, run.id, name, await _kept_payload(own, run, payload))
        if state is None or state in ENDED:
            raise StoreError(f"run `{run.id}` is over: {state or 'it was deleted'}")
        return state


async def _kept_payload(store: Store, run: StoredRun, payload: Any) -> str:
    """What a signal brings, as the store keeps it: encrypted when it holds a secret of the run, or when nobody
    here can tell. Raises `StoreError` for a secret without a key."""
    text, ready = kept_text(payload, "what the signal brings"), store.sealer.ready
    try:
        plan = plan_of(await store.flow(run.hash))
        masker = Masker(secrets_of(run, plan, {}, os.environ)[0].values())
        if any(each.secret for each in plan.inputs) and ready:
            given = inputs_of(store, run)
            masker.add([given[each.name] for each in plan.inputs if each.secret and each.name in given])
    except (InvalidFlowError, StoreError):
        return store.sealer.seal(text) if ready else text
    if masker.text(text) == text:
        return text
    try:
        return store.sealer.seal(text)
    except NoKey as error:
        raise StoreError(f"the signal holds a secret of the run, and the store keeps it: {error}") from None


async def cancel(run_id: str, *, store: Store | str | None = None) -> str:
    """Ask a run to stop; its state. Raises `StoreError` when there is none of that id."""
    async with opened(store, make=False) as own:
        run_id = (await find(own, run_id)).id
        state = await own.ask_to_cancel(run_id)
        if state is None:
            raise StoreError(f"run `{run_id}` was deleted just now")
        return state


async def delete(run_id: str, *, store: Store | str | None = None) -> str:
    """Delete a run that is over, with all that is kept of it; its id. Raises `StoreError`."""
    async with opened(store, make=False) as own:
        run = await find(own, run_id)
        await retention.delete(own, run)
        return run.id


async def prune(bounds: Retention, *, store: Store | str | None = None, dry_run: bool = False) -> Pruned:
    """Delete the runs that `bounds` does not keep, and flows that no run has. Raises `StoreError`."""
    async with opened(store, make=False) as own:
        return await retention.prune(own, bounds, folder=os.path.join(data_folder(), "flows"), dry_run=dry_run)


def new_key() -> str:
    """A key for `FLOWLANG_STORE_KEY`."""
    from flowlang.durable import sealing

    return sealing.new_key()
