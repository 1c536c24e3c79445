"""How one page leads to the next: a link, a cursor, a page number, an offset."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowlang.connections.http import urls
from flowlang.connections.http.errors import RequestFailed, invalid
from flowlang.connections.http.replies import Headers
from flowlang.connections.http.urls import Place
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.connections.http.calls import Call
    from flowlang.connections.http.client import Client

MOST_PAGES = 100_000  # of one stream, when the flow sets no bound of its own

KINDS = ("link", "cursor", "page", "offset")
KEYS: Mapping[str, frozenset[str]] = {
    "link": frozenset({"link", "more"}),
    "cursor": frozenset({"cursor", "param", "in", "more"}),
    "page": frozenset({"page", "start", "size", "limit", "in", "more"}),
    "offset": frozenset({"offset", "start", "size", "limit", "in", "more"}),
}
_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]+))*)")
_RELATION = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


@frozen
class Page:
    """One page as the service gave it."""

    body: Any
    content: bytes
    headers: Headers
    items: list[Any]


@frozen
class Ask:
    """What is asked for one page: `place` replaces the step's own; `values` are added to its query, or with
    `in: body` to its JSON."""

    values: Mapping[str, Any]
    place: Place | None = None


class Pager:
    """The way through the pages of one stream. It notices a service that leads round in a circle."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Raises RequestFailed (`validation`) for what is no way to page."""
        self._kind, self._given = _read(given), given
        self.in_body = given.get("in", "query") == "body"
        self._number = given.get("start", 1 if self._kind == "page" else 0)
        self._seen: set[bytes] = set()
        self._last = b""

    def first(self) -> Ask:
        given = self._given
        if self._kind in ("link", "cursor"):
            return Ask({})
        size = {given["limit"]: given["size"]} if "limit" in given else {}
        return Ask({given[self._kind]: self._number, **size})

    def next(self, page: Page, place: Place) -> Ask | None:
        """What to ask after `page`, which came from `place`; None when it was the last.

        Raises RequestFailed: the pages repeat, or what should lead on does not.
        """
        more = self._given.get("more")
        if more is not None and not at(page.body, more):
            return None
        if self._kind == "link":
            return self._link(page, place)
        if self._kind == "cursor":
            return self._cursor(page)
        digest = hashlib.sha256(page.content).digest()
        if page.items and digest == self._last:
            raise self._circle(
                f"the page after {self._number} is the same again: the service may not know the parameter"
            )
        self._last = digest
        return self._counted(page)

    def _counted(self, page: Page) -> Ask | None:
        size = self._given.get("size")
        if not page.items or (size is not None and len(page.items) < size):
            return None
        self._number += 1 if self._kind == "page" else len(page.items)
        return self.first()

    def _cursor(self, page: Page) -> Ask | None:
        cursor = at(page.body, self._given["cursor"])
        if not cursor:  # null, an empty text, false, and 0, which some services mean by it
            return None
        text = urls.as_text(cursor, f"the cursor at `{self._given['cursor']}`")
        self._once(text, f"cursor {text[:60]!r}")
        return Ask({self._given.get("param", "cursor"): cursor})

    def _link(self, page: Page, place: Place) -> Ask | None:
        where = self._given["link"]
        found = linked(page.headers.get("link") or "") if where == "header" else at(page.body, where)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise invalid(f"the link at `{where}` is no text")
        target = urls.resolved(place, found, "the link to the next page")
        self._once(str(target), "link")
        return Ask({}, target)

    def _once(self, text: str, what: str) -> None:
        digest = hashlib.sha256(text.encode()).digest()
        if digest in self._seen:
            raise self._circle(f"the {what} came a second time, after {len(self._seen)} pages")
        self._seen.add(digest)

    def _circle(self, why: str) -> RequestFailed:
        return RequestFailed(f"the pages go round in a circle: {why}", "unavailable", retryable=False)


async def pages(
    client: Client, pager: Pager, called: Callable[..., Awaitable[Call]], items: str | None, max_pages: int | None
) -> AsyncGenerator[list[Any], None]:
    """The items of each page that has some. `called` makes the request for the values that `pager` asks for.

    Raises RequestFailed.
    """
    if max_pages is not None and max_pages < 1:
        raise invalid(f"`max_pages` is {max_pages}: it must be 1 or more, or null")
    ask: Ask | None = pager.first()
    count = 0
    while ask is not None and (max_pages is None or count < max_pages):
        if count >= MOST_PAGES:
            raise RequestFailed(f"there are more than {MOST_PAGES} pages; set `max_pages` to read more", "limit")
        call = client.moved(await called(dict(ask.values), at_link=ask.place is not None), ask.place)
        answer = await client.answer(call)
        page = Page(answer.body, answer.content, answer.reply.headers, items_of(answer.body, items))
        ask = pager.next(page, call.place)
        count += 1
        if page.items:
            yield page.items


def _read(given: Mapping[str, Any]) -> str:
    kinds = [each for each in KINDS if each in given]
    if len(kinds) != 1:
        raise invalid("`next` says how pages follow each other by one of `link`, `cursor`, `page` and `offset`")
    kind = kinds[0]
    strange = next((each for each in given if each not in KEYS[kind]), None)
    if strange is not None:
        raise invalid(f"`next.{strange}` means nothing beside `next.{kind}`; known: {', '.join(sorted(KEYS[kind]))}")
    for key in (kind, "param", "limit", "more"):
        if key in given and (not isinstance(given[key], str) or not given[key]):
            raise invalid(f"`next.{key}` must be a name")
    for key, least in (("start", 0), ("size", 1)):
        value = given.get(key, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise invalid(f"`next.{key}` must be a whole number from {least} on")
    if "limit" in given and "size" not in given:
        raise invalid("`next.limit` names the parameter for `next.size`, which is missing")
    if given.get("in", "query") not in ("query", "body"):
        raise invalid("`next.in` is `query` or `body`")
    return kind


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path, null where nothing does."""
    for key in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def items_of(body: Any, path: str | None) -> list[Any]:
    """The items of a page. Raises RequestFailed (`validation`) where there is no list."""
    found = body if path is None else at(body, path)
    if found is None and body is None:
        return []
    if not isinstance(found, list):
        where = f"at `{path}`" if path else "at the top of the page; `items` says where it stands"
        raise invalid(f"there is no list {where}")
    return found


def linked(text: str) -> str | None:
    """The target of the relation `next` in a `Link` header (RFC 8288)."""
    for target, parameters in _LINK.findall(text):
        for quoted, bare in _RELATION.findall(parameters):
            if "next" in (quoted or bare).lower().split():
                return str(target)
    return None
