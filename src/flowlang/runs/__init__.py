"""Runs that are kept: begun with a journal, resumed after whatever happened to their process, asked to stop, signalled.

    result = await flowlang.runs.run("orders.yaml", {"day": "2026-11-23"}, store="sqlite:///runs.db")
    result = await flowlang.runs.resume(run_id, store="sqlite:///runs.db")

`store`: a `Store` that is open, or an address; without one that of `FLOWLANG_STORE`, else a file in the user's data
folder.
"""

from __future__ import annotations

from flowlang.durable.host import hosting
from flowlang.durable.retention import Retention
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.runs.asking import cancel, delete, new_key, prune, send_signal
from flowlang.runs.beginning import begin, handle_of, run
from flowlang.runs.flows import captured, plan_of, steps_of
from flowlang.runs.recording import recorded
from flowlang.runs.refusals import unkept
from flowlang.runs.results import left_result, result_of
from flowlang.runs.resuming import again, interrupted, resume, taken
from flowlang.runs.retrying import retried
from flowlang.runs.stores import opened

__all__ = [
    "Retention",
    "Store",
    "StoreError",
    "again",
    "begin",
    "cancel",
    "captured",
    "delete",
    "handle_of",
    "hosting",
    "interrupted",
    "left_result",
    "new_key",
    "opened",
    "plan_of",
    "prune",
    "recorded",
    "result_of",
    "resume",
    "retried",
    "run",
    "send_signal",
    "steps_of",
    "taken",
    "unkept",
]
