"""A small HTTP service for the `http` type: notes by key, pages of them, slow answers, failures, a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.double import Double, standing

TOKEN = "tok/EN:42%-of-notes"
PAGE = 1000


class Notes:
    """`kept` are the notes by key; `running` counts requests that take their time."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.running = 0
        self.url = ""


@contextmanager
def serving() -> Iterator[Notes]:
    """The service on a free port of this machine, as long as the block lasts."""
    notes = Notes()
    with standing(_handler(notes)) as notes.url:
        yield notes


def _handler(notes: Notes) -> type[Double]:
    class Handler(Double):
        name = "conformance-notes"

        def _serve(self) -> None:
            url, body = urlsplit(self.path), self.body()
            status, value = 401, {"error": "wrong token"}
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                answer = {"GET": self._read, "HEAD": self._stand, "DELETE": self._drop}.get(self.command, self._keep)
                status, value = answer(unquote(url.path.removeprefix("/notes").strip("/")), parse_qs(url.query), body)
            self.say(status, value, {"Retry-After": "2"} if status == 429 else {})

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the base class's names

        def _stand(self, key: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            return 200, None

        def _drop(self, key: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            return 200, {"gone": notes.kept.pop(key, None) is not None}

        def _read(self, key: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            if key.startswith("fail/"):
                return int(key.partition("/")[2]), {"error": "as you wish"}
            if key in ("slow", "running"):
                return 200, self._slowly() if key == "slow" else {"count": notes.running}
            if key:
                return (200, notes.kept[key]) if key in notes.kept else (404, {"error": f"no note {key}"})
            after = query.get("after", [""])[0]
            keys = sorted(each for each in notes.kept if each > after)
            page = keys[:PAGE]
            following = page[-1] if len(keys) > PAGE else None
            return 200, {"data": [{"id": each, **notes.kept[each]} for each in page], "next": following}

        def _slowly(self) -> Any:
            """Five seconds, or until the client is gone."""
            notes.running += 1
            try:
                self.connection.settimeout(5)
                try:
                    self.connection.recv(1)
                except TimeoutError:
                    pass
                self.close_connection = True
            finally:
                notes.running -= 1
            return {"done": True}

        def _keep(self, key: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            if key == "fill":
                notes.kept = {f"n{number:07}": {"text": "x" * 20} for number in range(body["count"])}
                return 200, {"count": body["count"]}
            if key == "batch":
                wrong = [index for index, each in enumerate(body) if not each.get("id")]
                return (422, {"error": f"note {wrong[0]} has no id"}) if wrong else (200, {"count": len(body)})
            if not isinstance(body, dict) or "text" not in body:
                return 422, {"error": "a note has a text"}
            notes.kept[key] = body
            return 200, body

    return Handler
