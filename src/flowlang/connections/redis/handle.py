"""One link to a Redis: a connection of redis-py, and on it one command or one pipeline at a time.

The driver connects, authenticates and parses. Its client, pool and retries are left out: a command is packed,
sent and its answer read right here, so that it is known what was sent, nothing is sent twice, and a handle whose
answer was not read to its end is never used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from flowlang.connections._keepalive import keepalive_options
from flowlang.connections.endpoints import unreadable
from flowlang.connections.redis.address import Settings
from flowlang.connections.redis.errors import lost, of_opening, too_late, translated, verdict
from flowlang.connections.redis.values import Keys, Word, reader
from flowlang.exceptions import ConnectionError, FlowExecutionError

Command = Sequence[Word]
# Commands that change what later ones on the same link mean, and those after which only MULTI and WATCH are undone.
# Of these no task of ours sends any but MULTI, which its EXEC follows; a user's own may.
_CHANGES = frozenset(
    "ASKING AUTH CLIENT HELLO MONITOR PSUBSCRIBE PSYNC QUIT READONLY READWRITE RESET SELECT SSUBSCRIBE SUBSCRIBE "
    "SYNC".split()
)
_BEGINS, _ENDS = frozenset({"MULTI", "WATCH"}), frozenset({"EXEC", "DISCARD"})


class Handle:
    """What a task gets as its `connection`. Used by one task at a time.

    `keys` maps the flow's keys to the server's; `read` makes values of what the server answers.
    """

    def __init__(self, settings: Settings, keys: Keys, *, decode: bool = True) -> None:
        self.settings = settings
        self.keys = keys
        self.read = reader(decode)
        self._link: Any = None
        self._pack: Callable[[Any], bytes] = _unpacked
        self._engaged = False  # something was sent whose answer has not been read
        self._answer_error: type[BaseException] = Exception
        self._changed = False  # the session is not as it was opened, for good
        self._begun = False  # a MULTI or WATCH was sent, and nothing yet that ends it
        self._closed = False

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect, authenticate and choose the database. Raises ConnectionError; nothing stays open then."""
        import hiredis
        from redis.exceptions import ResponseError

        self._pack, self._answer_error = hiredis.pack_command, ResponseError
        _look_at_files(self.settings)
        self._link = _link(self.settings)
        try:
            async with asyncio.timeout(self.settings.timeout or None):
                await self._link.connect()
        except BaseException as error:
            await self.close()
            if isinstance(error, Exception):
                raise of_opening(error) from error
            raise
        self._link.socket_timeout = None  # from here on one limit covers sending and reading

    @property
    def closed(self) -> bool:
        return self._closed

    async def close(self) -> None:
        """Close the link without waiting for the server. Closing twice does nothing."""
        self._closed = True
        link, self._link = self._link, None
        if link is not None:
            await link.disconnect(nowait=True)

    async def reset(self, *, thorough: bool = False) -> bool:
        """Whether the next task may use it: all answers have been read, and no command changed the session."""
        if self._changed or self._begun:
            return False
        return not self._engaged and self._link is not None and self._link.is_connected

    async def usable(self) -> bool:
        """Whether the link still stands, as far as this side knows, with nothing unread on it."""
        if self._engaged or self._link is None or not self._link.is_connected:
            return False
        # The driver looks for an orderly end only; a link that was reset is one whose transport is closing.
        if self._link._writer.is_closing():  # noqa: SLF001 - what it offers leaves this out
            return False
        unread = getattr(self._link, "can_read", None) or self._link.can_read_destructive  # the name before 8.0
        try:
            return not await unread()
        except OSError:
            return False
        except Exception as error:
            if type(error).__module__.startswith("redis."):
                return False
            raise

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, *command: Word, wait: float = 0.0) -> Any:
        """The answer to one command. `wait`: seconds that the server itself may wait before it answers.

        Raises FlowExecutionError with its class: the server's refusal, `timeout`, or `connection_lost`.
        """
        link, packed = self._ready(command), self._packed(command)
        limit = self.settings.timeout + wait if self.settings.timeout else None
        try:
            async with asyncio.timeout(limit):
                self._engaged = True
                await link.send_packed_command(packed, check_health=False)
                answer = await link.read_response(disable_decoding=True)
        except Exception as error:
            raise self._told(error, command) from error
        self._engaged = False
        return answer

    async def many(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to several commands sent at once, in order; a refusal stands there as the driver's error.

        All of them together have the time of one command. The caller keeps the number bounded.
        """
        if not commands:
            return []
        link, packed = self._ready(commands[0]), b"".join([self._packed(each) for each in commands])
        answers: list[Any] = []
        try:
            async with asyncio.timeout(self.settings.timeout or None):
                self._engaged = True
                await link.send_packed_command(packed, check_health=False)
                while len(answers) < len(commands):
                    try:
                        answers.append(await link.read_response(disable_decoding=True))
                    except self._answer_error as refused:
                        answers.append(refused)
        except Exception as error:
            raise self._told(error, commands[min(len(answers), len(commands) - 1)]) from error
        self._engaged = False
        return answers

    async def ping(self) -> None:
        """Raise unless the server answers."""
        await self.call("PING")

    def refused(self, error: BaseException, command: Command) -> FlowExecutionError:
        """The flow's error for a refusal among the answers of `many`."""
        return translated(error, name_of(command))

    def is_refusal(self, answer: Any) -> bool:
        """Whether an answer of `many` is the server's refusal."""
        return isinstance(answer, self._answer_error)

    def _ready(self, command: Command) -> Any:
        if self._closed:
            raise ConnectionError("the handle is closed")
        if self._link is None or not self._link.is_connected or self._engaged:
            raise lost(name_of(command))
        return self._link

    def _packed(self, command: Command) -> bytes:
        first = _first(command)
        if first in _CHANGES:
            self._changed = True
        elif first in _BEGINS or first in _ENDS:
            self._begun = first in _BEGINS
        try:
            return self._pack(tuple(command))
        except (TypeError, UnicodeEncodeError) as error:
            raise FlowExecutionError(f"{name_of(command)}: {error}", error_class="validation") from error

    def _told(self, error: Exception, command: Command) -> FlowExecutionError:
        what = name_of(command)
        if isinstance(error, self._answer_error):
            self._engaged = False  # the answer is read
            return translated(error, what)
        if isinstance(error, TimeoutError):
            return too_late(what, self.settings.timeout)
        known = verdict(error)
        if known is not None and known.error_class != "connection_lost":
            return translated(error, what)  # a refusal after which the driver closes the link: LOADING
        return lost(what, error)


def name_of(command: Command) -> str:
    """How messages call a command: by its first word, never with what came with it."""
    return str(command[0]) if command else "the command"


def _first(command: Command) -> str:
    first = command[0] if command else ""
    return (first.decode("latin-1") if isinstance(first, bytes) else str(first)).upper()


def _unpacked(_: Any) -> bytes:
    raise ConnectionError("the handle was never opened")


def _look_at_files(settings: Settings) -> None:
    """The driver would tell of a missing file as of a server that is not reached."""
    named = (settings.ca_file, settings.cert_file, settings.key_file)
    for field, path in zip(("tls_ca_file", "tls_cert_file", "tls_key_file"), named, strict=True):
        if path is None:
            continue
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise unreadable(error, field, path) from error


def _link(settings: Settings) -> Any:
    """The driver's connection, unopened: RESP 2, no retries, answers as bytes."""
    from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection

    common: dict[str, Any] = {
        "db": settings.database,
        "username": settings.username,
        "password": settings.password,
        "protocol": 2,
        "client_name": "flowlang",
        "socket_timeout": settings.timeout or None,
        "socket_read_size": 1 << 18,
    }
    if settings.socket is not None:
        return UnixDomainSocketConnection(path=settings.socket, **common)
    common |= {"host": settings.host, "port": settings.port, "socket_keepalive": True}
    common["socket_keepalive_options"] = keepalive_options()
    if not settings.tls:
        return Connection(**common)
    return SSLConnection(
        **common,
        ssl_cert_reqs="required" if settings.verify else "none",
        ssl_check_hostname=settings.verify,
        ssl_ca_certs=settings.ca_file,
        ssl_certfile=settings.cert_file,
        ssl_keyfile=settings.key_file,
    )
