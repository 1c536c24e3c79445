"""Small servers that speak the documented formats of three public APIs: Airtable, GitHub and Slack.

Sources of the facts, read in November 2026: the Web API pages of airtable.com/developers (records in pages of at most
100 with `offset`, writes of at most ten, 429 with 30 s to wait), docs.github.com/rest (`Link` headers, 403 or 429 with
`x-ratelimit-remaining: 0` and `x-ratelimit-reset`, `retry-after`), docs.slack.dev (200 with `ok: false`,
`response_metadata.next_cursor`, 429 with `Retry-After`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.double import Double, standing

TOKEN = "tok/EN:42%-of-services"
Reply = tuple[int, Any, dict[str, str]]


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


@dataclass
class Api:
    """`asked` are the requests so far; `next_replies` are given before the service answers by itself again."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    next_replies: list[Reply] = field(default_factory=list)
    running: int = 0

    def answer(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def clear(self) -> None:
        self.asked.clear()
        self.next_replies.clear()


def ok(value: Any, **headers: str) -> Reply:
    return 200, value, headers


DOWN: Reply = 503, {}, {}
"""What stands before a service answers when the service itself cannot."""


# ---------------------------------------------------------------- Airtable


@dataclass
class Airtable(Api):
    """Two bases; the tables of `app1` by name, each a dict of records by id."""

    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {"Tasks": {}, "People": {}})
    created: int = 0

    def clear(self) -> None:
        super().clear()
        self.tables = {"Tasks": {}, "People": {}}

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}}, {}
        parts = [unquote(each) for each in asked.path.strip("/").split("/")][1:]
        if not parts:
            return self._not_found()
        if parts[:2] == ["meta", "bases"]:
            return self._meta(parts[2:], asked)
        if parts[0] != "app1" or len(parts) < 2 or parts[1] not in self.tables:
            message = "Invalid permissions, or the requested model was not found."
            return 403, {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "message": message}}, {}
        table = self.tables[parts[1]]
        return self._record(table, parts[2], asked) if len(parts) == 3 else self._records(table, asked)

    def _not_found(self) -> Reply:
        return 404, {"error": "NOT_FOUND"}, {}

    def _meta(self, parts: list[str], asked: Asked) -> Reply:
        if not parts:
            at = int(asked.one("offset", "itr0")[3:])
            bases = [{"id": f"app{n}", "name": f"Base {n}", "permissionLevel": "create"} for n in (1, 2, 3)]
            more = {"offset": f"itr{at + 2}"} if at + 2 < len(bases) else {}
            return ok({"bases": bases[at : at + 2], **more})
        tables = [
            {"id": f"tbl{n}", "name": name, "primaryFieldId": "fld1", "fields": [{"id": "fld1", "name": "Name"}],
             "views": []}
            for n, name in enumerate(self.tables, 1)
        ]  # fmt: skip
        return ok({"tables": tables}) if parts == ["app1", "tables"] else self._not_found()

    def _record(self, table: dict[str, dict[str, Any]], key: str, asked: Asked) -> Reply:
        if key == "recSlow":
            return self.slowly()
        if key == "recBusy":
            return 429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded."}]}, {}
        if key == "recDown":
            return DOWN
        if key not in table:
            return self._not_found()
        if asked.method == "PATCH":
            table[key]["fields"] |= asked.body["fields"]
        return ok(table[key])

    def slowly(self) -> Reply:
        self.running += 1
        time.sleep(2)
        self.running -= 1
        return ok({"id": "recSlow", "createdTime": "", "fields": {}})

    def _records(self, table: dict[str, dict[str, Any]], asked: Asked) -> Reply:
        if asked.method == "GET":
            return self._list(table, asked)
        if asked.method == "DELETE":
            keys = asked.query["records[]"]
            return ok({"records": [{"id": each, "deleted": table.pop(each, None) is not None} for each in keys]})
        records = asked.body["records"]
        if len(records) > 10:
            return 422, {"error": {"type": "INVALID_RECORDS", "message": "at most 10 records"}}, {}
        for each in records:
            if "Nope" in each["fields"]:
                return 422, {"error": {"type": "UNKNOWN_FIELD_NAME", "message": 'Unknown field name: "Nope"'}}, {}
        if asked.method == "POST":
            return ok({"records": [self._create(table, each["fields"]) for each in records]})
        return self._upsert(table, records, (asked.body.get("performUpsert") or {}).get("fieldsToMergeOn", []))

    def _create(self, table: dict[str, dict[str, Any]], fields: dict[str, Any]) -> dict[str, Any]:
        self.created += 1
        key = f"rec{self.created:06}"
        table[key] = {"id": key, "createdTime": "2026-11-27T12:00:00.000Z", "fields": dict(fields)}
        return table[key]

    def _upsert(self, table: dict[str, dict[str, Any]], records: list[Any], merge: list[str]) -> Reply:
        found, created = [], []
        for each in records:
            wanted = {name: each["fields"].get(name) for name in merge}
            same = [one for one in table.values() if merge and wanted.items() <= one["fields"].items()]
            record = table.get(each.get("id", ""), same[0] if same else None)
            if record is None:
                record = self._create(table, {})
                created.append(record["id"])
            record["fields"] |= each["fields"]
            found.append(record)
        more = {"createdRecords": created, "updatedRecords": []} if merge else {}
        return ok({"records": found, **more})

    def _list(self, table: dict[str, dict[str, Any]], asked: Asked) -> Reply:
        keys = list(table)
        name, equals, value = asked.one("filterByFormula").partition("=")
        if equals:
            keys = [each for each in keys if str(table[each]["fields"].get(name.strip("{} "))) == value.strip("' \"")]
        size = min(int(asked.one("pageSize", "100")), 100)
        most = int(asked.one("maxRecords", str(len(keys))))
        at = int(asked.one("offset", "itr0")[3:])
        page = keys[:most][at : at + size]
        more = {"offset": f"itr{at + size}"} if at + size < min(most, len(keys)) else {}
        return ok({"records": [table[each] for each in page], **more})


# ---------------------------------------------------------------- GitHub


@dataclass
class GitHub(Api):
    """One repository, `octo/cat`, and its issues."""

    issues: list[dict[str, Any]] = field(default_factory=list)

    def clear(self) -> None:
        super().clear()
        self.issues = []

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, {}
        path = asked.path.strip("/")
        if path == "user/repos":
            return ok([{"full_name": "octo/cat"}])
        if path == "repos/octo/cat":
            return ok({"full_name": "octo/cat", "private": False})
        if path == "repos/octo/cat/issues":
            return self._create(asked) if asked.method == "POST" else self._list(asked)
        number = path.removeprefix("repos/octo/cat/issues/").partition("/")[0]
        if number in REFUSALS:
            return REFUSALS[number]
        if not number.isdigit() or int(number) > len(self.issues):
            return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}, {}
        issue = self.issues[int(number) - 1]
        if path.endswith("/comments"):
            issue["comments"] = [*issue.get("comments", []), asked.body["body"]]
            return 201, {"id": len(issue["comments"])}, {}
        if asked.method == "PATCH":
            issue |= asked.body
        return ok(issue)

    def _create(self, asked: Asked) -> Reply:
        if not asked.body.get("title"):
            return 422, {"message": "Validation Failed", "errors": [{"field": "title", "code": "missing_field"}]}, {}
        self.issues.append({"number": len(self.issues) + 1, "state": "open", **asked.body})
        return 201, self.issues[-1], {}

    def _list(self, asked: Asked) -> Reply:
        state, size, page = asked.one("state", "open"), int(asked.one("per_page", "30")), int(asked.one("page", "1"))
        found = [each for each in self.issues if state in ("all", each["state"])]
        headers = {}
        if page * size < len(found):
            base = f"{self.url}{asked.path}?state={state}&per_page={size}"
            headers["Link"] = f'<{base}&page={page + 1}>; rel="next", <{base}&page=99>; rel="last"'
        return 200, found[(page - 1) * size : page * size], headers


REFUSALS: dict[str, Reply] = {
    "403": (403, {"message": "Resource not accessible by personal access token"}, {}),
    "429": (429, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "2"}),
    "503": DOWN,
}
"""What GitHub answers for issues of these numbers."""


def used_up(seconds: int) -> Reply:
    """What GitHub answers when the primary rate limit is used up."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + seconds)}
    return 403, {"message": "API rate limit exceeded for user ID 1."}, headers


# ---------------------------------------------------------------- Slack


@dataclass
class Slack(Api):
    """Five channels, and the messages that were posted to each."""

    messages: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {f"C{n}": [] for n in range(1, 6)})

    def clear(self) -> None:
        super().clear()
        self.messages = {f"C{n}": [] for n in range(1, 6)}

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return ok({"ok": False, "error": "invalid_auth"})
        method = asked.path.removeprefix("/api/")
        channel = asked.body.get("channel") if isinstance(asked.body, dict) else asked.one("channel")
        if channel in ("CBUSY", "CDOWN"):
            return DOWN if channel == "CDOWN" else (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "2"})
        handler = {
            "auth.test": lambda: {"team": "Testers", "user_id": "U1"},
            "conversations.list": lambda: self._paged(asked, "channels", [{"id": each} for each in self.messages]),
            "users.list": lambda: self._paged(asked, "members", [{"id": f"U{n}"} for n in range(3)]),
            "conversations.history": lambda: self._history(asked),
            "chat.postMessage": lambda: self._post(asked.body),
            "chat.update": lambda: self._update(asked.body),
        }.get(method)
        value = handler() if handler is not None else {"error": "unknown_method"}
        return ok({"ok": "error" not in value, **value})

    def _paged(self, asked: Asked, name: str, items: list[Any]) -> dict[str, Any]:
        at, size = int(asked.one("cursor", "p0")[1:]), min(int(asked.one("limit", "100")), 2)
        following = f"p{at + size}" if at + size < len(items) else ""
        return {name: items[at : at + size], "response_metadata": {"next_cursor": following}}

    def _history(self, asked: Asked) -> dict[str, Any]:
        if asked.one("channel") not in self.messages:
            return {"error": "channel_not_found"}
        return self._paged(asked, "messages", self.messages[asked.one("channel")][::-1])

    def _post(self, body: Any) -> dict[str, Any]:
        channel = body["channel"]
        if channel in ("CFOREIGN", "COLD"):
            return {"error": "not_in_channel" if channel == "CFOREIGN" else "is_archived"}
        if channel not in self.messages:
            return {"error": "channel_not_found"}
        if not body["text"]:
            return {"error": "no_text"}
        ts = f"1700000000.{len(self.messages[channel]):06}"
        self.messages[channel].append({"ts": ts, "text": body["text"], "type": "message"})
        return {"channel": channel, "ts": ts}

    def _update(self, body: Any) -> dict[str, Any]:
        for each in self.messages.get(body["channel"], []):
            if each["ts"] == body["ts"]:
                each["text"] = body["text"]
                return {"channel": body["channel"], "ts": body["ts"]}
        return {"error": "message_not_found"}


# ---------------------------------------------------------------- serving


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The API, as long as the block lasts."""
    with standing(_handler(api)) as api.url:
        yield api


def _handler(api: Api) -> type[Double]:
    class Handler(Double):
        name = "service-double"

        def _serve(self) -> None:
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, url.path, parse_qs(url.query), headers, self.body())
            api.asked.append(asked)
            self.say(*(api.next_replies.pop(0) if api.next_replies else api.answer(asked)))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    return Handler


KINDS: dict[str, tuple[Callable[[], Api], str]] = {
    "airtable": (Airtable, "/v0"), "github": (GitHub, ""), "slack": (Slack, "/api"),
}  # fmt: skip
"""The API of each service, and below which path of its address it stands."""
