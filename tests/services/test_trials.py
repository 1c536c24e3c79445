"""The tests in a service file: run by `flowlang test` on written replies, each difference told at its place."""

# ruff: noqa: E501 - a finding on one line is read at a glance

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from tests.services.conftest import SHIPPED
from tests.testing.support import in_pytest

from flowlang import editing
from flowlang.services.operations import BATCHES_KEYS, OPERATION_KEYS, PAGES_KEYS, REQUEST_KEYS
from flowlang.services.read import KEYS, RATE_KEYS, RULE_KEYS, read_service
from flowlang.services.trials import ASKED_KEYS, ERROR_KEYS, REPLY_KEYS, TEST_KEYS
from flowlang.testing import run_tests

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
service: acme
kind: http
version: 1.0.0
description: Orders of Acme
config:
  - {name: token, type: string, secret: true, required: true, description: The token}
base_url: https://api.acme.example/v1
auth: {type: bearer, token: "${config.token}"}
pages: {items: data, next: {cursor: next, param: after}}
errors:
  - {when: body.ok == false, class: conflict, message: "${body.why}"}
operations:
  order:
    description: One order.
    params:
      - {name: number, type: integer, required: true, description: Its number}
      - {name: full, type: boolean, description: All of it}
    request: {path: "/orders/${params.number}", query: {full: "${params.full}"}}
    outputs:
      - {name: total, value: "${body.total}", type: number, description: Its total}
  orders:
    description: All orders.
    request: {method: POST, path: /search, form: {open: true}}
    effect: read
    pages: {}
    outputs:
      - {name: totals, value: "${item.total}", type: number, description: Their totals}
tests:
"""
RIGHT = """\
  - name: one order
    operation: order
    params: {number: 5, full: true}
    config: {token: t0k}
    replies:
      - asked: {method: GET, path: /orders/5, query: {full: true}, headers: {Authorization: Bearer t0k}}
        json: {total: 9.5}
    outputs: {total: 9.5}
  - name: pages
    operation: orders
    replies:
      - {asked: {form: {open: true}, query: {}}, json: {data: [{total: 1}], next: n2}}
      - {asked: {query: {after: n2}}, json: {data: [{total: 2}]}}
    outputs: {totals: [1, 2]}
  - name: a refusal with status 200
    operation: order
    params: {number: 5}
    replies: [{json: {ok: false, why: it is gone}}]
    error: {type: conflict, detail: it is gone}
  - name: by status
    operation: order
    params: {number: 5}
    replies: [{status: 503, headers: {Retry-After: "7"}, text: later}]
    error: {type: unavailable, retry_after: 7}
"""


def outcomes(tmp_path: Path, tests: str) -> list[list[str]]:
    """What each test is told, as `line: message`."""
    file = tmp_path / "acme.service.yaml"
    file.write_text(HEAD + tests)
    report = run_tests(file)
    assert report.findings == [], report.findings
    return [[f"{each.span.start.line}: {each.message}" for each in one.problems] for one in report.outcomes]


def test_right_expectations_pass(tmp_path: Path) -> None:
    assert outcomes(tmp_path, RIGHT) == [[], [], [], []]


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ("{operation: order, params: {number: 5}, replies: [{json: {total: 1}}], outputs: {total: 2}}",
         "29: output `total`: expected 2, got 1"),
        ("{operation: order, params: {number: 5}, replies: [{asked: {path: /orders/6}, json: {total: 1}}]}",
         '29: `path`: expected "/orders/6", sent "/orders/5"'),
        ("{operation: order, params: {number: 5}, replies: [{asked: {query: {full: true}}, json: {total: 1}}]}",
         "29: `query.full` is not sent; there are none"),
        ("{operation: order, params: {number: 5}, replies: [{status: 404}]}",
         "29: `order` fails with `not_found`: GET https://api.acme.example/v1/orders/5: 404 Not Found"),
        ("{operation: order, params: {number: 5}, replies: [{json: {total: 1}}], error: {type: not_found}}",
         "29: `order` succeeds, and an error is expected"),
        ("{operation: order, params: {number: 5}, replies: [{status: 404}], error: {type: auth}}",
         '29: `type` of the error: expected "auth", got "not_found"'),
        ("{operation: orders, replies: [{json: {data: [], next: n2}}]}",
         "29: `orders` asks once more than there are replies: POST /search"),
        ("{operation: order, params: {number: 5}, replies: [{json: {total: 1}}, {json: {}}]}",
         "29: `order` asks 1 times, and there are 2 replies"),
    ],
)  # fmt: skip
def test_each_difference_is_told(tmp_path: Path, test: str, problem: str) -> None:
    assert outcomes(tmp_path, f"  - {{name: it, {test[1:]}\n") == [[problem]]


def test_mistakes_in_tests_are_findings(tmp_path: Path) -> None:
    text = (
        HEAD
        + "  - {name: it, operation: ordr, replies: []}\n  - {name: b, operation: order, replies: [{jsn: {}}], parms: {}}\n"
    )
    found = [f"{each.span.start.line} {each.message}" for each in read_service("acme.service.yaml", text).findings]
    assert found == [
        "29 `operation` has no `ordr`",
        "30 unknown key `jsn` in a reply",
        "30 unknown key `parms` in a test",
    ]


def test_the_tests_of_a_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "acme.service.yaml").write_text(HEAD + RIGHT)
    report = run_tests(tmp_path)
    assert (len(report.outcomes), report.ok, report.exit_code) == (4, True, 0)
    assert len(run_tests(tmp_path, name="pages").outcomes) == 1


def test_the_shipped_services_pass_their_own_tests() -> None:
    report = run_tests(SHIPPED)
    assert report.failed == []
    assert {Path(each.file).name.partition(".")[0] for each in report.outcomes} == {"airtable", "github", "slack"}


def test_the_page_names_every_key() -> None:
    """docs/services.md has each key of the format."""
    page = (ROOT / "docs/services.md").read_text("utf-8")
    words = {*KEYS, *RULE_KEYS, *RATE_KEYS, *OPERATION_KEYS, *REQUEST_KEYS, *PAGES_KEYS, *BATCHES_KEYS}
    words |= {*TEST_KEYS, *REPLY_KEYS, *ASKED_KEYS, *ERROR_KEYS}
    assert sorted(each for each in words if not re.search(rf"\b{each}\b", page)) == []


@pytest.mark.parametrize("path", sorted([*SHIPPED.glob("*.service.yaml"), *(ROOT / "examples/myservice").glob("*.service.yaml")]),
                         ids=lambda path: path.name)  # fmt: skip
def test_the_schema_for_editors_takes_what_the_check_takes(path: Path) -> None:
    validator = jsonschema_rs.Draft202012Validator(editing.service_schema())
    assert [each.message for each in validator.iter_errors(yaml.safe_load(path.read_text("utf-8")))] == []


def test_the_schema_for_editors_has_the_keys_of_the_check() -> None:
    """Each object of the schema is closed and has exactly the keys that the reader knows."""
    schema = editing.service_schema()
    json.dumps(schema)
    defs = schema["$defs"]

    def keys(part: dict[str, object]) -> set[str]:
        assert part["additionalProperties"] is False
        return set(part["properties"])  # type: ignore[call-overload]

    assert keys(schema) == set(KEYS)
    assert keys(defs["operations"]["additionalProperties"]) == set(OPERATION_KEYS)
    assert keys(defs["request"]) == set(REQUEST_KEYS)
    assert keys(defs["pages"]) == set(PAGES_KEYS)
    assert keys(defs["rules_of_errors"]["items"]) == set(RULE_KEYS)
    assert keys(defs["trials"]["items"]) == set(TEST_KEYS)
    assert keys(defs["replies"]["items"]) == set(REPLY_KEYS)
    assert keys(defs["asked"]) == set(ASKED_KEYS)


def test_pytest_runs_them_too(tmp_path: Path) -> None:
    """Each is a test of its own name; what fails is told at its place."""
    wrong = (
        "  - {name: wrong, operation: order, params: {number: 5}, replies: [{json: {total: 1}}], outputs: {total: 2}}\n"
    )
    (tmp_path / "acme.service.yaml").write_text(HEAD + RIGHT + wrong)
    told = in_pytest(tmp_path, ".")
    assert "1 failed, 4 passed" in told, told
    assert "output `total`: expected 2, got 1" in told
