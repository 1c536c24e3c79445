"""What is wrong with a service file is found where it stands, and said as for flows."""

# ruff: noqa: E501 - a finding on one line is read at a glance

from __future__ import annotations

import pytest
from tests.services.conftest import SHIPPED

from flowlang.services.read import read_service

HEAD = """\
service: acme
kind: http
version: 1.0.0
description: Orders of Acme
config:
  - {name: token, type: string, secret: true, required: true, description: The token}
base_url: https://api.acme.example
operations:
  order:
    description: One order.
    params:
      - {name: number, type: integer, required: true, description: Its number}
    request: {path: "/orders/${params.number}"}
"""


def found(text: str, file: str = "acme.service.yaml") -> list[str]:
    """The findings, each as `line:column code: message · suggestion`."""
    lines = []
    for each in read_service(file, text).findings:
        start = each.span.start
        help_ = f" · {each.suggestion}" if each.suggestion else ""
        lines.append(f"{start.line}:{start.column} {each.code}: {each.message}{help_}")
    return lines


def test_a_right_file_has_no_findings() -> None:
    assert found(HEAD) == []


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.service.yaml")), ids=lambda path: path.stem)
def test_the_shipped_services_have_no_findings(path: object) -> None:
    assert read_service(str(path)).findings == ()


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("base_url:", "base_ulr:", "7:1 unknown-key: unknown key `base_ulr` in a service · did you mean `base_url`?"),
        ("    request:", "    reqest:", "13:5 unknown-key: unknown key `reqest` in operation `order` · did you mean `request`?"),
        ("{path:", "{pth:", "13:15 unknown-key: unknown key `pth` in `request` · did you mean `path`?"),
        ("type: integer", "type: intger", "12:30 unknown-word: `type` has no `intger` · did you mean `integer`?"),
        ("params.number", "params.numbr", "13:39 unknown-field: root `params` has no key `numbr` · did you mean `number`?"),
        ("params.number", "inputs.number", "13:32 not-readable-here: `inputs` belong to flows; an operation reads `params`"),
        ("kind: http", "kind: grpc", "2:7 unknown-word: `kind` has no `grpc`"),
        ("version: 1.0.0\n", "", "1:1 missing-key: `version` is missing in a service · add `version: …`"),
        ("service: acme", "service: acmee", "1:10 bad-name: the file is called `acme.service.yaml` and the service "
         "`acmee`; they must be the same · rename one, such as `service: acme`"),
        ("https://", "", "7:11 service-address: `base_url` must begin with https:// or http://"),
        ("    params:\n", "    params:\n      - {name: context}\n", "12:16 service-operation: no parameter may be called `context`: that is what "
         "a task is given by its run"),
        ("{path:", "{method: FETCH, path:", "13:23 unknown-word: `method` has no `FETCH` · did you mean `PATCH`?"),
        ("{path:", "{json: {a: 1}, form: {b: 2}, path:", "13:29 given-twice: a request has one of `json`, `form` and "
         "`body`; `json` is there already · remove one"),
        ("{path:", "{query: {t: \"${config.token}\"}, path:", "13:22 service-secret: a secret stands in `query`, which "
         "is written into logs on the way · send it by `auth`, or in `headers`"),
        ("operations:", "auth: {type: bearer, token: abc}\noperations:", "8:29 service-credential: `auth.token` is "
         "written out: whoever has the file has the credential · declare a secret setting and read it: "
         "`token: ${config.token}`"),
        ("operations:", "auth: {type: beaer, token: \"${config.token}\"}\noperations:", "8:14 unknown-word: `type` has "
         "no `beaer` · did you mean `bearer`?"),
        ("operations:", "rate_limit: {requests: 0, per: 1s}\noperations:", "8:24 out-of-range: `requests` is at least "
         "1, this is 0"),
        ("operations:", "ping: ordr\noperations:", "8:7 unknown-word: `ping` has no `ordr` · did you mean `order`?"),
        ("operations:", "errors:\n  - {when: body.ok == false, class: not_fund}\noperations:", "9:37 unknown-word: "
         "`class` has no `not_fund` · did you mean `not_found`?"),
        ("operations:", "errors:\n  - {when: bdy.ok, class: auth}\noperations:", "9:12 unknown-name: nothing that can "
         "be read here is called `bdy` · did you mean root `body`?"),
        ("    request:", "    pages: {items: data, next: {curser: next}}\n    request:", "13:33 unknown-key: unknown key "
         "`curser` in `next` · did you mean `cursor`?"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_finding(before: str, after: str, finding: str) -> None:
    """At its place, with the thing by its name and one remedy."""
    assert before in HEAD
    assert found(HEAD.replace(before, after, 1)) == [finding]


def test_all_mistakes_are_found_together() -> None:
    text = HEAD.replace("version", "versoin").replace("{path:", "{pth:").replace("type: integer", "type: int")
    assert [each.partition(" ")[0] for each in found(text)] == ["3:1", "12:30", "13:15"]


def test_what_is_no_object_is_told_what_it_should_be() -> None:
    assert found("- a\n- b\n") == [
        "1:1 wrong-type: a service file is an object with the keys `service`, `kind` and `operations`"
    ]
    assert found("service: {a: [\n")[0].startswith("1:14 unclosed-bracket:")


def test_a_secret_of_a_connection_may_not_become_an_output() -> None:
    text = HEAD + '    outputs:\n      - {name: t, value: "${config.token}"}\n'
    assert found(text) == ["15:26 service-secret: output `t` holds a secret, and outputs are stored and shown"]


def test_outputs_of_pages_and_batches_have_to_fit() -> None:
    paged = HEAD + "    pages: {items: data, next: {page: page}}\n    outputs: []\n"
    assert found(paged) == [
        "15:5 service-operation: an operation with `pages` has one output, a stream of its items; this has 0"
    ]
    batched = HEAD + '    batches: {of: "${[1, 2]}", size: 10}\n'
    assert [each.partition(" · ")[0] for each in found(batched)] == [
        "9:3 service-operation: output `body` of an operation with `batches` needs a type that can be put together"
    ]
