"""What every plugin proves: `flowlang plugin test` prints it with the score."""

from __future__ import annotations

from typing import Any

import pytest
from flowlang.testing import VALUE, Operations, PluginConformance, call

from flowlang_acme import AcmePlugin


class TestAcme(PluginConformance):
    plugin = AcmePlugin
    capabilities = {  # noqa: RUF012
        "slow": "no request of its takes long",
        "sessions": "requests have no session",
        "batches": "no task writes several items",
        "streaming": "items are made one by one, so that the kit cannot make a hundred thousand",
    }
    settings = {  # noqa: RUF012
        "tls_config": lambda subject: {"base_url": subject.config["base_url"].replace("http:", "https:")},
    }
    operations = Operations(
        prepare=(call("acme_put", item_id="it", data={"text": "one"}),),
        read=call("acme_get", item_id="it"),
        write=call("acme_put", item_id="other", data={"text": "two"}),
        state=call("acme_scan"),
        repeat=call("acme_put", item_id="again", data={"text": "the same"}),
        put=call("acme_put", item_id="kept", data={"text": VALUE}),
        get=call("acme_get", item_id="kept"),
        fails={
            "permission": call("acme_get", item_id="locked"),
            "not_found": call("acme_get", item_id="nothing"),
            "conflict": call("acme_put", item_id="taken", data={"text": "x"}),
            "validation": call("acme_put", item_id="it", data={}),
            "rate_limited": call("acme_get", item_id="busy"),
            "unavailable": call("acme_get", item_id="down"),
        },
    )

    @pytest.fixture
    def config(self, settings: dict[str, Any]) -> dict[str, Any]:
        return settings
