"""What every plugin proves: `flowlang plugin test` prints it with the score."""

from __future__ import annotations

from typing import Any

import pytest
from flowlang.testing import VALUE, Call, Operations, PluginConformance, call

from flowlang_acme import AcmePlugin

WRONG = [{"key": "fine", "value": 1}, {"key": "", "value": 2}]


def filling(count: int) -> Call:
    """The call that puts so many values there."""
    items = [{"key": f"item{number:06}", "value": "x" * 20} for number in range(count)]
    return call("acme_put_many", items=items)


class TestAcme(PluginConformance):
    plugin = AcmePlugin
    capabilities = {  # noqa: RUF012
        "tls": "the service speaks no TLS",
        "slow": "no request of its takes long",
        "sessions": "requests have no session",
    }
    operations = Operations(
        prepare=(call("acme_put", key="it", value="one"),),
        read=call("acme_get", key="it"),
        write=call("acme_put", key="other", value="two"),
        state=call("acme_scan"),
        repeat=call("acme_put", key="again", value="the same"),
        stream=call("acme_scan", prefix="item"),
        fill=filling,
        bad_batch=call("acme_put_many", items=WRONG),
        bad_item="item 1",
        put=call("acme_put", key="kept", value=VALUE),
        get=call("acme_get", key="kept"),
        fails={
            "permission": call("acme_put", key="locked", value=1),
            "not_found": call("acme_get", key="nothing"),
            "conflict": call("acme_put", key="taken", value=1),
            "validation": call("acme_put", key="", value=1),
            "rate_limited": call("acme_get", key="busy"),
            "unavailable": call("acme_get", key="down"),
        },
    )

    @pytest.fixture
    def config(self, settings: dict[str, Any]) -> dict[str, Any]:
        return settings
