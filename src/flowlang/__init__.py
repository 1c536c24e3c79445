"""FlowLang: workflows in YAML whose steps are real operations on real services.

    result = flowlang.run_sync("orders.yaml", {"day": "2026-11-23"})
    print(result.status, result.outputs)

Names are loaded when they are first used, so that `import flowlang` costs next to nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # what type checkers take for true; importing it from `typing` would double the price of this
if TYPE_CHECKING:
    from typing import Any

    from flowlang.api import Checked, Flow, RunHandle, check, load, plugins, run, run_sync, start
    from flowlang.connections.pools import Pools
    from flowlang.diagnostics import Diagnostic
    from flowlang.engine.clock import Clock
    from flowlang.engine.result import RunResult
    from flowlang.exceptions import (
        ConnectionError,
        FlowExecutionError,
        FlowLangError,
        InvalidFlowError,
        PluginError,
    )
    from flowlang.tasks.context import Context
    from flowlang.tasks.decorator import task
    from flowlang.tasks.stream import Stream
    from flowlang.tasks.values import Ident, Secret, Sql, UrlPath

_HOMES = {
    "flowlang.api": ("Checked", "Flow", "RunHandle", "check", "load", "plugins", "run", "run_sync", "start"),
    "flowlang.connections.pools": ("Pools",),
    "flowlang.diagnostics": ("Diagnostic",),
    "flowlang.engine.clock": ("Clock",),
    "flowlang.engine.result": ("RunResult",),
    "flowlang.exceptions": (
        "ConnectionError",
        "FlowExecutionError",
        "FlowLangError",
        "InvalidFlowError",
        "PluginError",
    ),
    "flowlang.tasks.context": ("Context",),
    "flowlang.tasks.decorator": ("task",),
    "flowlang.tasks.stream": ("Stream",),
    "flowlang.tasks.values": ("Ident", "Secret", "Sql", "UrlPath"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'flowlang' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


__all__ = [
    "Checked",
    "Clock",
    "ConnectionError",
    "Context",
    "Diagnostic",
    "Flow",
    "FlowExecutionError",
    "FlowLangError",
    "Ident",
    "InvalidFlowError",
    "PluginError",
    "Pools",
    "RunHandle",
    "RunResult",
    "Secret",
    "Sql",
    "Stream",
    "UrlPath",
    "__version__",
    "check",
    "load",
    "plugins",
    "run",
    "run_sync",
    "start",
    "task",
]
