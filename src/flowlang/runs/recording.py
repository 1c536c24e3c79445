"""Runs in memory, written into the history."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from flowlang.api import Flow, RunHandle, start
from flowlang.durable.recorder import Recorder
from flowlang.events import Sink
from flowlang.masking import MASK
from flowlang.runs.flows import captured


@asynccontextmanager
async def recorded(
    flow: Flow,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: str | None = None,
    warn: Callable[[str], None],
    added: Callable[[str, str], None] | None = None,
    on_event: Sequence[Sink] = (),
    **options: Any,
) -> AsyncIterator[RunHandle]:
    """Begin a run in memory that is written into the history of a store as it goes on. What keeps it from being written
    is told to `warn`, once, and does not matter to the run. `added` is told, in another thread, the id of the run and
    the address of the store once it is there."""
    recorder = Recorder(store, captured(flow.checked), os.environ, warn, added)
    handle = start(flow, inputs, on_event=[*on_event, recorder], **options)
    secret = {each.name for each in flow.plan.inputs if each.secret}
    shown = {name: MASK if name in secret else value for name, value in (inputs or {}).items()}
    recorder.begin(str(handle.run_id), handle.masker.value(shown), {})
    try:
        yield handle
    finally:
        result = await handle if handle.done else None
        await asyncio.to_thread(recorder.close, result)
