"""Lists in pages: each way on, its end, and ways that never end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.http.server import Reply, Request, Server, as_json, until

Run = Callable[..., Any]
ALL = list(range(25))
IN_BODY = {"cursor": "cursor", "in": "body", "more": "more"}


async def collected(run: Run, server: Server, **parameters: Any) -> Any:
    """The items of a stream, or the failure."""
    steps = [
        {"http_paginate": {"id": "p", "path": "/list", **parameters}},
        {
            "for_each": "${p.items}",
            "as": "item",
            "id": "all",
            "collect": "${item}",
            "do": [{"set": {"seen": "${item}"}}],
        },
    ]
    result = await run(server, steps, {"all": "all.results"})
    return result.failure if result.failure is not None else result.outputs["all"]


def by_cursor(request: Request) -> Reply:
    start = int(request.query.get("after", "c0")[1:])
    more = f"c{start + 10}" if start + 10 < len(ALL) else None
    return as_json({"data": {"items": ALL[start : start + 10]}, "meta": {"next": more}})


def by_page(request: Request) -> Reply:
    start = 10 * (int(request.query["page"]) - 1)
    return as_json(ALL[start : start + 10])


def by_offset(request: Request) -> Reply:
    start, size = int(request.query["skip"]), int(request.query["top"])
    return as_json({"items": ALL[start : start + size]})


def by_link(request: Request) -> Reply:
    start = int(request.query.get("start", "0"))
    on = f'<https://x.example/a,b>; rel="prev", </list?start={start + 10}>; title="a, b"; rel="next last"'
    return as_json(ALL[start : start + 10], **({"Link": on} if start + 10 < len(ALL) else {}))


def by_address(request: Request) -> Reply:
    start = int(request.query.get("start", "0"))
    return as_json({"items": ALL[start : start + 10], "next": f"?start={start + 10}" if start < 20 else ""})


def by_search(request: Request) -> Reply:
    start = request.json.get("cursor", 0)
    assert request.json["text"] == "tea"
    return as_json({"hits": ALL[start : start + 10], "cursor": start + 10, "more": start + 10 < len(ALL)})


@pytest.mark.parametrize(
    ("route", "parameters", "pages"),
    [
        (by_cursor, {"items": "data.items", "next": {"cursor": "meta.next", "param": "after"}}, 3),
        (by_page, {"next": {"page": "page"}}, 4),
        (by_page, {"next": {"page": "page", "size": 10}}, 3),
        (by_offset, {"items": "items", "next": {"offset": "skip", "limit": "top", "size": 10}}, 3),
        (by_link, {"next": {"link": "header"}}, 3),
        (by_address, {"items": "items", "next": {"link": "next"}}, 3),
        (by_search, {"items": "hits", "method": "POST", "json": {"text": "tea"}, "next": IN_BODY}, 3),
    ],
    ids=["cursor", "page", "page of a size", "offset", "link header", "link in the body", "cursor in the body"],
)  # fmt: skip
async def test_each_way_from_page_to_page(
    server: Server, run: Run, route: Any, parameters: dict[str, Any], pages: int
) -> None:
    """All items, in order, each once; no request too many."""
    server.routes["/list"] = route
    assert await collected(run, server, query={"keep": "1"}, **parameters) == ALL
    assert len(server.requests) == pages
    if "link" not in parameters["next"]:
        assert all(each.query["keep"] == "1" for each in server.requests)


async def test_max_pages(server: Server, run: Run) -> None:
    """Reads no more than so many."""
    server.routes["/list"] = by_page
    assert await collected(run, server, next={"page": "page"}, max_pages=2) == ALL[:20]
    assert len(server.requests) == 2


async def test_pages_are_read_as_they_are_wanted(server: Server, run: Run) -> None:
    """The loop ends after the first item: the rest is not asked for, and nothing stays open."""
    server.routes["/list"] = by_page
    steps = [
        {"http_paginate": {"id": "p", "path": "/list", "next": {"page": "page"}}},
        {"for_each": "${p.items}", "as": "item", "do": [{"exit": {"status": "success"}}]},
    ]
    assert (await run(server, steps)).status == "succeeded"
    assert len(server.requests) <= 2
    await until(lambda: server.open == 0)


@pytest.mark.parametrize(
    ("reply", "way"),
    [
        (as_json({"data": [1], "next": "same"}), {"cursor": "next"}),
        (as_json({"data": [1], "next": "/list?page=1"}), {"link": "next"}),
        (as_json({"data": [1]}), {"page": "page"}),
        (as_json({"data": [1]}), {"offset": "offset"}),
    ],
)
async def test_pages_that_repeat(server: Server, run: Run, reply: Reply, way: dict[str, Any]) -> None:
    """A cursor or link that comes again, or a page that ignores its number: a failure, not an endless stream."""
    server.routes["/list"] = reply
    failed = await collected(run, server, items="data", next=way)
    assert (failed.type, failed.retryable) == ("unavailable", False)
    assert "circle" in failed.detail
    assert len(server.requests) <= 3


async def test_a_longer_circle(server: Server, run: Run) -> None:
    """Also when several pages lie between."""
    server.routes["/list"] = lambda request: as_json(
        {"d": [1], "n": str((int(request.query.get("cursor", 0)) + 1) % 5)}
    )
    failed = await collected(run, server, items="d", next={"cursor": "n"})
    assert "circle" in failed.detail
    assert len(server.requests) <= 7


async def test_a_link_to_another_service(serve: Any, run: Run) -> None:
    """It would get the credentials, or lead inside: refused."""
    server, other = serve(), serve()
    server.routes["/list"] = as_json({"data": [1], "next": f"{other.url}/list"})
    failed = await collected(run, server, items="data", next={"link": "next"})
    assert failed.type == "permission"
    assert other.accepted == 0


async def test_a_page_that_fails(server: Server, run: Run) -> None:
    """The stream ends with the failure of its page; the first page is retried like any step."""
    server.routes["/list"] = lambda request: by_page(request) if request.query["page"] < "3" else Reply(500)
    failed = await collected(run, server, next={"page": "page"})
    assert failed.type == "unavailable"
    answers = [Reply(503, b"", {"Retry-After": "0"}), as_json([1]), as_json([])]
    server.routes["/list"] = lambda _: answers.pop(0)
    assert await collected(run, server, next={"page": "page"}, retry={"max_attempts": 2}) == [1]


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ({}, "one of"),
        ({"cursor": "a", "page": "b"}, "one of"),
        ({"cursor": "a", "limit": "b"}, "`next.limit`"),
        ({"page": 1}, "`next.page`"),
        ({"page": "p", "start": -1}, "`next.start`"),
        ({"offset": "o", "limit": "l"}, "`next.size`"),
        ({"cursor": "a", "in": "header"}, "`next.in`"),
    ],
)
async def test_what_is_no_way(server: Server, run: Run, way: dict[str, Any], words: str) -> None:
    """`validation`, before anything is asked."""
    failed = await collected(run, server, next=way)
    assert failed.type == "validation"
    assert words in failed.detail
    assert server.requests == []


@pytest.mark.parametrize("body", [{"other": []}, {"data": {}}, "text", 5, None])
async def test_where_there_is_no_list(server: Server, run: Run, body: Any) -> None:
    """It says where it looked; nothing at all is an empty page."""
    server.routes["/list"] = as_json(body)
    failed = await collected(run, server, items="data", next={"cursor": "next"})
    assert failed == [] if body is None else "`data`" in failed.detail
