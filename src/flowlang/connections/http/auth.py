"""How the service knows who asks: what is added to each request, and the tokens that it takes.

Credentials go to the origin of `base_url` and to no other (see `client`).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from flowlang.connections.http import urls
from flowlang.connections.http.bodies import Body
from flowlang.connections.http.calls import Call, Headers
from flowlang.connections.http.errors import RequestFailed, class_of
from flowlang.connections.http.replies import from_json
from flowlang.connections.http.watched import Watched

Fetch = Callable[[Call, Watched], Awaitable[tuple[int, bytes]]]
"""Sends a request, tells its status to who watches it, and gives the status and the content of its reply."""

_LEEWAY = 30.0  # seconds before its end at which a token counts as expired, a tenth of its life at most


class Auth:
    """What does not change while the connection is open: nothing, a user and password, a token, a key."""

    hidden: tuple[str, ...] = ()
    """Names of the query whose values nobody may see."""
    renews = False

    def __init__(self, headers: Headers = (), query: tuple[tuple[str, str], ...] = ()) -> None:
        self._headers = headers
        self.query = urls.encoded(dict(query))
        self.hidden = tuple(name for name, _ in query)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What was learnt while the connection was open and must not be shown; the config's are known already."""
        return ()

    async def headers(self, timer: asyncio.Timeout | None) -> Headers:
        """The headers of one request, whose time limit is `timer`."""
        return self._headers

    def renew(self, refused: Headers) -> None:
        """The service does not take these headers any more."""

    async def close(self) -> None:
        """Nobody asks any more."""


class ClientCredentials(Auth):
    """Tokens of an authorization server (RFC 6749, section 4.4): one at a time, fetched once for all who wait."""

    renews = True

    def __init__(self, config: Mapping[str, Any], fetch: Fetch) -> None:
        super().__init__()
        self._place = urls.parsed(config["token_url"], "`auth.token_url`")
        self._config = config
        self._fetch = fetch
        self._token: str | None = None
        self._ends = float("inf")  # the time of the event loop from which the token is not used any more
        self._old: set[str] = set()
        self._fetching: asyncio.Task[str] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self._old, *filter(None, [self._token]))

    async def headers(self, timer: asyncio.Timeout | None) -> Headers:
        if self._token is not None and asyncio.get_running_loop().time() < self._ends:
            return _bearer(self._token)
        if self._fetching is not None and not self._fetching.done():
            return _bearer(await asyncio.shield(self._fetching))
        call = self._asking()
        with Watched(call, call.place, timer) as watched:  # it is the request of the operation that asks first
            self._fetching = asyncio.get_running_loop().create_task(self._renewed(call, watched))
            self._fetching.add_done_callback(_seen)
            return _bearer(await asyncio.shield(self._fetching))  # others wait for it too: none may cancel it for all

    def renew(self, refused: Headers) -> None:
        if self._token is not None and refused == _bearer(self._token):  # else another request has renewed it already
            self._old.add(self._token)
            self._token = None

    async def close(self) -> None:
        task, self._fetching = self._fetching, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _asking(self) -> Call:
        config = self._config
        form = {"grant_type": "client_credentials", "scope": config.get("scope"), "audience": config.get("audience")}
        headers: Headers = (("Accept", "application/json"),)
        if config.get("send", "header") == "header":
            pair = f"{quote_plus(config['client_id'])}:{quote_plus(config['client_secret'])}"
            headers += (("Authorization", _basic(pair)),)
        else:
            form |= {"client_id": config["client_id"], "client_secret": config["client_secret"]}
        body = Body((urls.encoded(form).encode(),), "application/x-www-form-urlencoded")
        return Call("POST", self._place, headers, body, key="token", key_header="")  # asking twice does no harm

    async def _renewed(self, call: Call, watched: Watched) -> str:
        status, reply = await self._fetch(call, watched)
        if status != 200:
            raise self._refused(status, reply)
        return self._taken(reply)

    def _refused(self, status: int, reply: bytes) -> RequestFailed:
        name = "auth" if status in (400, 401) else class_of(status)  # 400 is how RFC 6749 refuses a client
        try:
            code = from_json(reply).get("error")
        except (RequestFailed, AttributeError):
            code = None
        why = f": {code}" if isinstance(code, str) and len(code) < 100 else ""
        return RequestFailed(f"{urls.shown(self._place)} gives no token: status {status}{why}", name)

    def _taken(self, reply: bytes) -> str:
        try:
            given = from_json(reply)
            token, kind, lasts = given["access_token"], given.get("token_type", "bearer"), given.get("expires_in")
        except (RequestFailed, KeyError, TypeError, AttributeError):
            token, kind, lasts = None, "", None
        fit = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token and token
        if not fit or str(kind).lower() != "bearer":
            raise RequestFailed(f"{urls.shown(self._place)} gives no bearer token that could be sent", "auth")
        self._ends = float("inf")
        try:
            seconds = float(lasts)
            self._ends = asyncio.get_running_loop().time() + seconds - min(_LEEWAY, seconds / 10)
        except (TypeError, ValueError):
            pass  # it does not say how long the token lasts: until it is refused
        self._token = str(token)
        return self._token


def auth_of(config: Mapping[str, Any], fetch: Fetch) -> Auth:
    """The authentication that a config describes."""
    kind = config["type"]
    if kind == "basic":
        return Auth((("Authorization", _basic(f"{config['username']}:{config['password']}")),))
    if kind == "bearer":
        return Auth((("Authorization", f"Bearer {config['token']}"),))
    if kind == "api_key":
        pair = ((config["name"], config["key"]),)
        return Auth(query=pair) if config.get("in") == "query" else Auth(pair)
    if kind == "oauth2_client_credentials":
        return ClientCredentials(config, fetch)
    return Auth()


def _seen(task: asyncio.Task[str]) -> None:
    """Whoever waited for it may be gone: then nobody else looks at its error."""
    if not task.cancelled():
        task.exception()


def _bearer(token: str) -> Headers:
    return (("Authorization", f"Bearer {token}"),)


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def scrubbed(text: str, secrets: tuple[str, ...]) -> str:
    """`text` without tokens that the run's masks do not know."""
    for each in secrets:
        text = text.replace(each, urls.MASK).replace(quote(each, safe=""), urls.MASK)
    return text
