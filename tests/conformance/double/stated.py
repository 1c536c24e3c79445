"""What the author of the LineKV plugin states for the kit."""

from __future__ import annotations

from typing import Any

from tests.conformance.double.server import ACCOUNTS

from flowlang.conformance.calls import VALUE, Operations, call

OPERATIONS = Operations(
    prepare=(call("linekv_put", key="greeting", value="hello"),),
    read=call("linekv_get", key="greeting"),
    write=call("linekv_put", key="farewell", value="so long"),
    state=call("linekv_all"),
    repeat=call("linekv_put_all", items=[{"key": "a", "value": 1}, {"key": "b", "value": 2}]),
    slow=call("linekv_wait", seconds=5),
    running=call("linekv_running"),
    stream=call("linekv_scan", prefix="item:"),
    fill=lambda count: call("linekv_fill", count=count),
    put=call("linekv_put", key="kept", value=VALUE),
    get=call("linekv_get", key="kept"),
    dirty=call("linekv_use", space="elsewhere"),
    session=call("linekv_space"),
    bad_batch=call("linekv_put_all", items=[{"key": "fine", "value": 1}, {"key": "", "value": 2}]),
    bad_item="item 1",
    fails={
        "permission": call("linekv_put", key="system:x", value=1),
        "not_found": call("linekv_get", key="nothing"),
        "conflict": call("linekv_add", key="greeting", value=1),
        "validation": call("linekv_put", key="", value=1),
        "rate_limited": call("linekv_fail", code="SLOW_DOWN"),
        "unavailable": call("linekv_fail", code="DOWN"),
    },
)


def config_for(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "user": "flow", "password": ACCOUNTS["flow"]}
