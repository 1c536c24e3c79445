"""What runs emit, held against the list that OpenTelemetry publishes and against our own page."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from tests.http.server import Reply, Server, as_json
from tests.telemetry import published
from tests.telemetry.conftest import Kept
from tests.telemetry.test_spans import failing

import flowlang

OURS = "flowlang."
OPEN = ("error.type",)  # whose values are listed in part
PAGE = Path(__file__).resolve().parents[2] / "docs/reference/telemetry.md"
FLOW = """
flow: everything
connections:
  api: {type: http, base_url: "%(http)s", allow_private: true}
  pg: {type: postgres, url: "%(postgres)s", pool_size: 1}
  maria: {type: mysql, url: "%(mysql)s"}
  lite: {type: sqlite, database: ":memory:"}
  cache: {type: redis, url: "%(redis)s"}
  docs: {type: mongodb, url: "%(mongodb)s", database: "%(database)s"}
inputs: [{name: who, type: string, default: Ada}]
steps:
  - look: {id: it, retry: {max_attempts: 2, delay: 1ms}}
  - http_get: {id: got, connection: api, path: /here, query: {who: "${inputs.who}"}}
  - http_get: {id: moved, connection: api, path: /there}
  - {http_get: {id: late, connection: api, path: /late, retry: {max_attempts: 2, delay: 1ms}}, continue_on_error: true}
  - http_request: {id: other, connection: api, method: REPORT, path: /here}
  - pg_query: {id: known, connection: pg, query: "SELECT ${inputs.who} AS who"}
  - {pg_query: {id: wrong, connection: pg, query: SELECT nope}, continue_on_error: true}
  - {mysql_query: {id: wrong_my, connection: maria, query: SELECT nope}, continue_on_error: true}
  - sqlite_execute: {connection: lite, query: CREATE TABLE only (one INTEGER PRIMARY KEY)}
  - for_each: ${[1, 1]}
    do:
      - {sqlite_execute: {id: twice, connection: lite, query: "INSERT INTO only VALUES (1)"}, continue_on_error: true}
  - mysql_query: {connection: maria, query: SELECT 1 AS one}
  - sqlite_query: {connection: lite, query: SELECT 1 AS one}
  - redis_set: {connection: cache, key: "%(key)s", value: v}
  - redis_get: {connection: cache, key: "%(key)s"}
  - {redis_incr: {id: text, connection: cache, key: "%(key)s"}, continue_on_error: true}
  - mongo_insert: {connection: docs, collection: people, documents: [{who: Ada}]}
  - mongo_find: {connection: docs, collection: people}
  - {mongo_find: {id: wrong_op, connection: docs, collection: people, filter: {$nope: 1}}, continue_on_error: true}
  - {mongo_batch_insert: {id: same, connection: docs, collection: people, documents: [{_id: 1}, {_id: 1}]},
     continue_on_error: true}
"""
CODES = {  # what each server calls the failures of the flow above
    "pg_query": ["42703"],
    "mysql_query": ["1054"],
    "sqlite_execute": ["1555"],  # SQLITE_CONSTRAINT_PRIMARYKEY
    "redis_incr": ["ERR"],
    "mongo_find": ["2"],
    "mongo_batch_insert": ["11000"],
}
CACHED = """
flow: twice
steps:
  - look: {id: first, cache: {key: k, ttl: 1h}}
  - {id: bad, set: {n: "${1 / (first.left * 0)}"}}
"""


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server().start()
    one.routes[""] = as_json({})
    one.routes["/there"] = Reply(302, b"", {"Location": "/here"})
    one.routes["/late"] = Reply(503)
    yield one
    one.stop()


@pytest.fixture
def text(server: Server, postgres_url: str, mysql_url: str, redis_url: str, mongodb_url: str) -> str:
    database = mongodb_url.rpartition("/")[2].partition("?")[0]
    urls = {"http": server.url, "postgres": postgres_url, "mysql": mysql_url, "redis": redis_url}
    return FLOW % {**urls, "mongodb": mongodb_url, "database": database, "key": "k"}


def kind_of(span: ReadableSpan) -> str:
    """Which row of our page a span belongs to."""
    attributes = span.attributes or {}
    if "flowlang.step.path" in attributes:
        return "PATH"
    if "flowlang.attempt.number" in attributes:
        return "TASK"
    return "METHOD" if "http.request.method" in attributes else span.name.partition(" ")[0]


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading of our page: the first cell of each row, and the names in its last."""
    part = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")][2:]
    return {first.strip("`"): re.findall(r"`([\w.]+)`", last) for first, *_, last in cells}


@pytest.fixture
async def told(kept: Kept, text: str) -> Kept:
    """What is told by one run of everything, and by two that fail, the second of them behind an answer of the cache."""
    result = await flowlang.run(text=text, file="flow.yaml", on_event=kept.sink, tasks=[failing(1)])
    assert result.status == "succeeded", (result.failure, [str(each) for each in result.findings])
    twice = flowlang.load(text=CACHED, file="flow.yaml", tasks=[failing(0)])
    for _ in range(2):
        assert (await flowlang.run(twice, on_event=kept.sink)).status == "failed"
    return kept


async def test_what_is_emitted_is_in_the_published_list_and_on_our_page(told: Kept) -> None:
    """Every attribute is ours or current in the published list, with a value that is listed where values are; metrics
    are ours, or have the published instrument and unit. Our page has the attributes that there are, and no others."""
    seen: dict[str, set[str]] = defaultdict(set)
    for span in told.spans:
        attributes = dict(span.attributes or {})
        seen[kind_of(span)] |= set(attributes)
        assert ("error.type" in attributes) == (span.status.status_code is StatusCode.ERROR), span.name
        for name, value in attributes.items():
            listed = published.values(name) if name not in OPEN else None
            assert listed is None or value in listed, (name, value)
    measured, units = {}, {unit for _, unit in published.metrics().values()}
    for each in told.metrics():
        measured[each.name] = {name for point in each.data.data_points for name in point.attributes}
        assert each.unit in units or re.fullmatch(r"\{[a-z_]+\}", each.unit), each.name
        if not each.name.startswith(OURS):
            assert (type(each.data).__name__.lower(), each.unit) == published.metrics()[each.name]
    emitted = set().union(*seen.values(), *measured.values())
    assert {each for each in emitted if not each.startswith(OURS)} <= published.attributes()
    assert seen == {name.split(",")[0].split()[0]: set(attributes) for name, attributes in rows("Spans").items()}
    assert measured == {name: set(attributes) for name, attributes in rows("Metrics").items()}
    assert emitted == set(rows("Attributes"))


def test_the_published_list_tells_what_is_deprecated() -> None:
    """What the test above stands on: names that were replaced, and values that are only listed beside stable ones."""
    assert {"db.system.name", "url.full", "code.file.path"} <= published.attributes()
    assert not {"db.system", "http.method", "http.url", "net.peer.name"} & published.attributes()
    assert {"postgresql", "mongodb"} <= (published.values("db.system.name") or set())
    assert published.metrics()["http.client.request.duration"] == ("histogram", "s")


def facts(span: ReadableSpan) -> dict[str, Any]:
    """What a span says in published words."""
    return {name: value for name, value in (span.attributes or {}).items() if not name.startswith(OURS)}


async def test_calls_of_databases_say_what_the_conventions_ask_for(
    told: Kept, postgres_url: str, redis_url: str
) -> None:
    """The system, the database, the server, and what was asked, without the values that are bound; kind client."""
    server = urlsplit(postgres_url)
    query, wrong = told.named("pg_query")
    place = {"db.system.name": "postgresql", "db.namespace": server.path[1:]}
    place |= {"server.address": server.hostname, "server.port": server.port}
    assert facts(query) == {**place, "db.query.text": "SELECT ? AS who"}
    assert facts(wrong) == {**place, "db.query.text": "SELECT nope", "error.type": "not_found",
                            "db.response.status_code": "42703"}  # fmt: skip
    assert facts(told.one("connect pg")) == facts(told.named("lease pg")[0]) == place
    command = facts(told.one("redis_get"))
    assert (command["db.operation.name"], command["db.namespace"]) == ("GET", urlsplit(redis_url).path[1:] or "0")
    insert = facts(told.one("mongo_insert"))
    assert (insert["db.operation.name"], insert["db.collection.name"]) == ("insert", "people")
    assert facts(told.one("sqlite_query"))["db.namespace"] == ":memory:"
    assert query.kind is told.one("redis_get").kind is told.named("mongo_find")[0].kind is SpanKind.CLIENT


async def test_a_failure_has_the_code_of_the_server(told: Kept) -> None:
    """Only an attempt, only of a database, and only one that fails."""
    found: dict[str, list[Any]] = defaultdict(list)
    for span in told.spans:
        code = facts(span).get("db.response.status_code")
        if code is not None:
            found[span.name].append(code)
            assert (kind_of(span), span.status.status_code) == ("TASK", StatusCode.ERROR)
    assert found == CODES


async def test_a_code_is_withheld_with_what_was_said(kept: Kept, postgres_url: str) -> None:
    """What a step that was given a short secret was answered is told neither in words nor by code."""
    text = f"""
flow: f
connections: {{pg: {{type: postgres, url: "{postgres_url}", pool_size: 1}}}}
inputs: [{{name: pin, type: string, secret: true, required: true}}]
steps:
  - {{pg_query: {{connection: pg, query: "SELECT ${{inputs.pin}}::text::int"}}, continue_on_error: true}}
"""
    result = await flowlang.run(text=text, inputs={"pin": "p7"}, on_event=kept.sink)
    assert result.status == "succeeded", (result.failure, [str(each) for each in result.findings])
    told = facts(kept.one("pg_query"))
    assert (told["error.type"], "db.response.status_code" in told) == ("validation", False)
