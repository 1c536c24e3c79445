"""What is stated about the three shipped services for the kit: the calls on servers that speak as theirs do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowlang.testing import VALUE, Operations, call

TABLE = {"table": "Tasks"}
REPO = {"owner": "octo", "repo": "cat"}
SAVED = {"merge_on": ["Name"]}
SESSIONS = {"sessions": "requests have no session"}
CAPABILITIES: Mapping[str, Mapping[str, str]] = {
    "airtable": {**SESSIONS, "conflict": "Airtable documents no such answer"},
    "github": {**SESSIONS, "slow": "no request takes long", "batches": "issues are made one by one"},
    "slack": {**SESSIONS, "slow": "no request takes long", "batches": "messages are posted one by one"},
}
SETTINGS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "tls_config": lambda subject: {"base_url": subject.config["base_url"].replace("http:", "https:")},
}
OPERATIONS: Mapping[str, Operations] = {
    "airtable": Operations(
        prepare=(call("airtable_batch", **TABLE, records=[{"fields": {"Name": "one"}}], **SAVED),),
        read=call("airtable_find", **TABLE, formula="{Name} = 'one'"),
        write=call("airtable_create", **TABLE, records=[{"Name": "two"}]),
        state=call("airtable_list", **TABLE),
        stream=call("airtable_list", **TABLE),
        repeat=call("airtable_delete", **TABLE, records=["rec000001"]),
        put=call("airtable_batch", **TABLE, records=[{"fields": {"Name": "kept", "Text": VALUE}}], **SAVED),
        get=call("airtable_find", **TABLE, formula="{Name} = 'kept'"),
        bad_batch=call("airtable_create", **TABLE, records=[{"Name": "x"}] * 10 + [{"Nope": 1}]),
        bad_item="item 11",
        slow=call("airtable_get", **TABLE, record="recSlow"),
        fails={
            "permission": call("airtable_get", table="Nope", record="rec1"),
            "not_found": call("airtable_get", **TABLE, record="recNone"),
            "validation": call("airtable_create", **TABLE, records=[{"Nope": 1}]),
            "rate_limited": call("airtable_get", **TABLE, record="recBusy"),
            "unavailable": call("airtable_get", **TABLE, record="recDown"),
        },
    ),
    "github": Operations(
        prepare=(call("github_create_issue", **REPO, title="one"),),
        read=call("github_get_issue", **REPO, number=1),
        write=call("github_comment", **REPO, number=1, text="said"),
        state=call("github_list_issues", **REPO, state="all"),
        stream=call("github_list_issues", **REPO, state="all"),
        repeat=call("github_update_issue", **REPO, number=1, title="the same"),
        put=call("github_update_issue", **REPO, number=1, text=VALUE),
        get=call("github_get_issue", **REPO, number=1),
        fails={
            "permission": call("github_get_issue", **REPO, number=403),
            "not_found": call("github_get_issue", **REPO, number=999),
            "validation": call("github_create_issue", **REPO, title=""),
            "rate_limited": call("github_get_issue", **REPO, number=429),
            "unavailable": call("github_get_issue", **REPO, number=503),
        },
    ),
    "slack": Operations(
        prepare=(call("slack_post_message", channel="C1", text="one"),),
        read=call("slack_auth_test"),
        write=call("slack_post_message", channel="C2", text="two"),
        state=call("slack_history", channel="C1"),
        stream=call("slack_history", channel="C1"),
        repeat=call("slack_update_message", channel="C1", ts="1700000000.000000", text="the same"),
        fails={
            "permission": call("slack_post_message", channel="CFOREIGN", text="x"),
            "not_found": call("slack_post_message", channel="C9", text="x"),
            "conflict": call("slack_post_message", channel="COLD", text="x"),
            "validation": call("slack_post_message", channel="C1", text=""),
            "rate_limited": call("slack_post_message", channel="CBUSY", text="x"),
            "unavailable": call("slack_post_message", channel="CDOWN", text="x"),
        },
    ),
}
