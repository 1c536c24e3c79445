"""The conformance kit over services described in YAML, against the servers of the three APIs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.conftest import config as settings
from tests.services.conftest import shipped
from tests.services.servers import KINDS, serving

from flowlang.services.files import plugin
from flowlang.testing import Operations, PluginConformance, call

TABLE = {"table": "Tasks"}
REPO = {"owner": "octo", "repo": "cat"}


class OfService(PluginConformance):
    """The tests of one of the shipped services."""

    tiers = ("contract",)

    def __init_subclass__(cls, service: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.service, cls.plugin = service, plugin(shipped(service))

    service: str

    @pytest.fixture
    def config(self) -> Iterator[dict[str, Any]]:
        with serving(KINDS[self.service][0]()) as api:
            yield settings(self.service, api)


@pytest.mark.long
class TestAirtable(OfService, service="airtable"):
    operations = Operations(
        prepare=(call("airtable_batch", **TABLE, records=[{"fields": {"Name": "one"}}], merge_on=["Name"]),),
        read=call("airtable_find", **TABLE, formula="{Name} = 'one'"),
        write=call("airtable_create", **TABLE, records=[{"Name": "two"}]),
        bad_batch=call("airtable_create", **TABLE, records=[{"Name": "x"}] * 10 + [{"Nope": 1}]),
        bad_item="item 11",
        slow=call("airtable_get", **TABLE, record="recSlow"),
        fails={
            "permission": call("airtable_get", table="Nope", record="rec1"),
            "not_found": call("airtable_get", **TABLE, record="recNone"),
            "validation": call("airtable_create", **TABLE, records=[{"Nope": 1}]),
        },
    )


@pytest.mark.long
class TestGithub(OfService, service="github"):
    operations = Operations(
        prepare=(call("github_create_issue", **REPO, title="one"),),
        read=call("github_get_issue", **REPO, number=1),
        write=call("github_comment", **REPO, number=1, text="said"),
        fails={
            "not_found": call("github_get_issue", **REPO, number=999),
            "validation": call("github_create_issue", **REPO, title=""),
        },
    )


@pytest.mark.long
class TestSlack(OfService, service="slack"):
    operations = Operations(
        prepare=(call("slack_post_message", channel="C1", text="one"),),
        read=call("slack_auth_test"),
        write=call("slack_post_message", channel="C2", text="two"),
        fails={
            "not_found": call("slack_post_message", channel="C9", text="x"),
            "validation": call("slack_post_message", channel="C1", text=""),
        },
    )
