"""Runs that are kept: begun with a journal, resumed after whatever happened to their process, asked to stop, signalled.

    result = await flowlang.runs.run("orders.yaml", {"day": "2026-11-23"}, store="sqlite:///runs.db")
    result = await flowlang.runs.resume(run_id, store="sqlite:///runs.db")

`store`: a `Store` that is open, or an address; without one that of `FLOWLANG_STORE`, else a file in the user's data
folder. Names are loaded when they are first used: to list runs takes no engine.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true
if TYPE_CHECKING:
    from typing import Any

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

_HOMES = {
    "flowlang.durable.host": ("hosting",),
    "flowlang.durable.retention": ("Retention",),
    "flowlang.durable.store": ("Store",),
    "flowlang.exceptions": ("StoreError",),
    "flowlang.runs.asking": ("cancel", "delete", "new_key", "prune", "send_signal"),
    "flowlang.runs.beginning": ("begin", "handle_of", "run"),
    "flowlang.runs.flows": ("captured", "plan_of", "steps_of"),
    "flowlang.runs.recording": ("recorded",),
    "flowlang.runs.refusals": ("unkept",),
    "flowlang.runs.results": ("left_result", "result_of"),
    "flowlang.runs.resuming": ("again", "interrupted", "resume", "taken"),
    "flowlang.runs.retrying": ("retried",),
    "flowlang.runs.stores": ("opened",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'flowlang.runs' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


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
