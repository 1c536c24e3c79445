"""Airtable, GitHub and Slack, each as its file describes it, against a server that speaks as theirs does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.services.conftest import Run
from tests.services.servers import Airtable, GitHub, Slack, used_up


def collected(stream: str, key: str) -> dict[str, Any]:
    """A step `found` that reads the stream of a step `all`."""
    step = {"for_each": f"${{all.{stream}}}", "as": "each", "collect": f"${{each.{key}}}", "id": "found"}
    return {**step, "do": [{"set": {"n": 1}, "id": "noted"}]}


def failure(result: Any) -> tuple[str, str]:
    assert result.failure is not None, (result.status, result.findings)
    return result.failure.type, result.failure.detail


# ---------------------------------------------------------------- Airtable


def test_records_come_in_pages_and_are_created_by_tens(airtable: Airtable, run: Run) -> None:
    """25 records are three requests to create and three pages of ten to read, each led to by `offset`."""
    records = [{"Name": f"n{n}", "Done": n % 2 == 0} for n in range(25)]
    result = run(
        "airtable",
        [
            {"airtable_create": {"id": "made", "connection": "api", "table": "Tasks", "records": records}},
            {"airtable_list": {"id": "all", "connection": "api", "table": "Tasks", "page_size": 10}},
            collected("records", "fields.Name"),
        ],
        {"count": "${made.count}", "names": "${found.results}"},
    )
    assert result.outputs == {"count": 25, "names": [f"n{n}" for n in range(25)]}, result.failure
    sizes = [len(each.body["records"]) for each in airtable.asked if each.method == "POST"]
    offsets = [each.one("offset") for each in airtable.asked if each.method == "GET"]
    assert sizes == [10, 10, 5]
    assert offsets == ["", "itr10", "itr20"]


def test_every_operation_of_airtable(airtable: Airtable, run: Run) -> None:
    at = {"connection": "api", "table": "Tasks"}
    people = [{"fields": {"Name": "Ada", "Age": 36}}, {"fields": {"Name": "Bob"}}]
    result = run(
        "airtable",
        [
            {"airtable_create": {"id": "made", **at, "records": [{"Name": "Ada"}]}},
            {"airtable_find": {"id": "one", **at, "formula": "{Name} = 'Ada'"}},
            {"airtable_find": {"id": "none", **at, "formula": "{Name} = 'Eve'"}},
            {"airtable_update": {"id": "new", **at, "record": "${one.record.id}", "fields": {"Age": 35}}},
            {"airtable_get": {"id": "got", **at, "record": "${one.record.id}"}},
            {"airtable_batch": {"id": "many", **at, "records": people, "merge_on": ["Name"]}},
            {"airtable_delete": {"id": "gone", **at, "records": ["${one.record.id}"]}},
            {"airtable_table_schema": {"id": "schema", **at}},
            {"airtable_list_tables": {"id": "tables", "connection": "api"}},
            {"airtable_list_bases": {"id": "all", "connection": "api"}},
            collected("bases", "id"),
        ],
        {
            "found": "${[one.found, none.found, none.record]}",
            "age": "${got.record.fields.Age}",
            "created": "${len(many.created)}",
            "gone": "${gone.count}",
            "schema": "${[schema.found, schema.table.id]}",
            "tables": "${[each.name for each in tables.tables]}",
            "bases": "${found.results}",
        },
    )
    assert result.outputs == {
        "found": [True, False, None],
        "age": 35,
        "created": 1,
        "gone": 1,
        "schema": [True, "tbl1"],
        "tables": ["Tasks", "People"],
        "bases": ["app1", "app2", "app3"],
    }, result.failure
    assert [each["fields"] for each in airtable.tables["Tasks"].values()] == [{"Name": "Bob"}]


def test_a_batch_that_fails_says_which_items_and_what_is_done(airtable: Airtable, run: Run) -> None:
    records = [{"Name": "x"}] * 12 + [{"Nope": 1}]
    result = run("airtable", [{"airtable_create": {"connection": "api", "table": "Tasks", "records": records}}])
    kind, detail = failure(result)
    assert kind == "validation"
    assert "items 11 to 13 of 13; the 10 before are done" in detail
    assert 'Unknown field name: "Nope"' in detail
    assert len(airtable.tables["Tasks"]) == 10


def test_nothing_to_do_asks_nothing(airtable: Airtable, run: Run) -> None:
    step = {"airtable_create": {"id": "made", "connection": "api", "table": "Tasks", "records": []}}
    result = run("airtable", [step], {"n": "${made.count}", "all": "${made.records}"})
    assert (result.outputs, airtable.asked) == ({"n": 0, "all": []}, [])


@pytest.mark.parametrize(
    ("step", "settings", "kind"),
    [
        ({"airtable_get": {"table": "Tasks", "record": "recNone"}}, {}, "not_found"),
        ({"airtable_get": {"table": "Nope", "record": "rec1"}}, {}, "permission"),
        ({"airtable_list_tables": {}}, {"token": "wrong"}, "auth"),
        ({"airtable_list_tables": {}}, {"base": None}, "validation"),
        ({"airtable_get": {"table": "../../meta", "record": "rec1"}}, {}, "validation"),
    ],
)
def test_airtable_refuses(airtable: Airtable, run: Run, step: Any, settings: Any, kind: str) -> None:
    """Each refusal is of its class; a table that tries to leave its segment of the path is never asked for."""
    (task, inputs) = next(iter(step.items()))
    result = run("airtable", [{task: {"connection": "api", **inputs}}], **settings)
    assert failure(result)[0] == kind
    assert all("meta" not in each.path for each in airtable.asked if task == "airtable_get")


def test_a_parameter_out_of_bounds_is_refused_before_anything_is_sent(airtable: Airtable, run: Run) -> None:
    size = "${5 * 100}"
    steps = [
        {"airtable_list": {"id": "all", "connection": "api", "table": "Tasks", "page_size": size}},
        collected("records", "id"),
    ]
    kind, detail = failure(run("airtable", steps))
    assert kind == "validation"
    assert "`page_size`" in detail
    assert "at most 100" in detail
    assert airtable.asked == []


# ---------------------------------------------------------------- GitHub


def test_issues_follow_the_link_header(github: GitHub, run: Run) -> None:
    github.issues = [{"number": n, "state": "open", "title": f"t{n}"} for n in range(1, 8)]
    at = {"connection": "api", "owner": "octo", "repo": "cat"}
    result = run(
        "github",
        [{"github_list_issues": {"id": "all", **at, "per_page": 3}}, collected("issues", "number")],
        {"numbers": "${found.results}"},
    )
    assert result.outputs == {"numbers": list(range(1, 8))}, result.failure
    assert [each.one("page", "1") for each in github.asked] == ["1", "2", "3"]
    assert github.asked[0].headers["x-github-api-version"] == "2022-11-28"


def test_what_is_left_out_is_not_sent(github: GitHub, run: Run) -> None:
    """A parameter without a value leaves its key out of the JSON and of the query."""
    at = {"connection": "api", "owner": "octo", "repo": "cat"}
    result = run(
        "github",
        [
            {"github_create_issue": {"id": "made", **at, "title": "Broken"}},
            {"github_update_issue": {"id": "shut", **at, "number": "${made.number}", "state": "closed"}},
            {"github_comment": {"id": "said", **at, "number": 1, "text": "Done"}},
        ],
        {"state": "${shut.issue.state}", "title": "${shut.issue.title}"},
    )
    assert result.outputs == {"state": "closed", "title": "Broken"}, result.failure
    assert [each.body for each in github.asked] == [
        {"title": "Broken", "labels": []},
        {"state": "closed"},
        {"body": "Done"},
    ]


def test_a_used_up_rate_limit_is_told_by_headers_and_waited_for(github: GitHub, run: Run) -> None:
    """403 with `x-ratelimit-remaining: 0` is no lack of permission: it is tried again after the time of the reset, by
    the policy that the service has for steps without one of their own."""
    github.next_replies = [used_up(0)]
    result = run("github", [{"github_get_repo": {"connection": "api", "owner": "octo", "repo": "cat"}}])
    assert result.succeeded, result.failure
    assert len(github.asked) == 2
    github.next_replies = [used_up(3600)]
    step = {"github_get_repo": {"connection": "api", "owner": "octo", "repo": "cat", "retry": 1}}
    result = run("github", [step], retry_after_max=5)
    assert result.failure.type == "rate_limited"
    assert result.failure.retry_after == 5
    github.next_replies = [(403, {"message": "Resource not accessible by integration"}, {})]
    assert failure(run("github", [step]))[0] == "permission"


# ---------------------------------------------------------------- Slack


def test_slack_pages_by_the_cursor_in_its_metadata(slack: Slack, run: Run) -> None:
    steps = [{"slack_list_channels": {"id": "all", "connection": "api"}}, collected("channels", "id")]
    result = run("slack", steps, {"ids": "${found.results}"})
    assert result.outputs == {"ids": ["C1", "C2", "C3", "C4", "C5"]}, result.failure
    assert [each.one("cursor") for each in slack.asked] == ["", "p2", "p4"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("channel_not_found", "not_found"),
        ("missing_scope", "permission"),
        ("token_revoked", "auth"),
        ("is_archived", "conflict"),
        ("fatal_error", "unavailable"),
        ("msg_too_long", "validation"),
    ],
)
def test_slack_says_200_and_means_an_error(slack: Slack, run: Run, error: str, kind: str) -> None:
    slack.next_replies = [(200, {"ok": False, "error": error}, {})]
    step = {"slack_post_message": {"connection": "api", "channel": "C1", "text": "hi", "retry": 1}}
    assert failure(run("slack", [step])) == (kind, f"POST {slack.url}/api/chat.postMessage: {error}")


def test_slack_asks_to_wait(slack: Slack, run: Run) -> None:
    step = {"slack_post_message": {"id": "sent", "connection": "api", "channel": "C1", "text": "hi", "retry": 2}}
    slack.next_replies = [(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"})]
    result = run("slack", [step], {"ts": "${sent.ts}"})
    assert result.outputs == {"ts": "1700000000.000000"}, result.failure
    assert slack.messages["C1"][0]["text"] == "hi"


def test_each_batch_is_a_write_of_its_own(airtable: Airtable, run: Run) -> None:
    """An `idempotency_key` of the step becomes one for each request: the second is no repetition of the first."""
    step = {"connection": "api", "table": "Tasks", "records": [{"Name": "x"}] * 11, "idempotency_key": "order-7"}
    assert run("airtable", [{"airtable_create": step}]).succeeded
    assert [each.headers["idempotency-key"] for each in airtable.asked] == ["order-7:0", "order-7:10"]
