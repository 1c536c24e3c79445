"""One session with a server: the driver's connection, opened safely and set up as every session of FlowLang is.

The driver (asyncmy) leaves several statements in one text on and sends a password in the clear to a server that asks
for it; both are closed here. LOCAL INFILE is never offered, and a server that asks for a file all the same gets none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncmy.connection import Connection
from asyncmy.constants.CLIENT import FOUND_ROWS, MULTI_STATEMENTS, SSL
from asyncmy.constants.COMMAND import COM_PING, COM_QUERY
from asyncmy.errors import OperationalError

from flowlang.connections.endpoints import unreadable
from flowlang.connections.mysql.config import Settings
from flowlang.connections.mysql.values import decoders

if TYPE_CHECKING:
    import ssl

_Driver: Any = Connection  # its stubs leave out what a subclass needs
_KILL_TIMEOUT = 5.0  # seconds; giving a handle back may not take long
_COM_SET_OPTION, _COM_RESET_CONNECTION = 0x1B, 0x1F
_MULTI_ON, _MULTI_OFF = b"\x00\x00", b"\x01\x00"
_CR_SSL_CONNECTION_ERROR, _CR_AUTH_PLUGIN_CANNOT_LOAD = 2026, 2059
_TELLS_PASSWORD = frozenset({b"mysql_clear_password", b"dialog", b"mysql_old_password"})
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60_000))
# Strict, so that nothing is cut silently; backslashes as the scanner of statements reads them.
_SET_UP = (
    "SET NAMES {charset}, lc_messages = 'en_US', time_zone = '+00:00', autocommit = 1, sql_mode = "
    "CONCAT_WS(',', NULLIF(REPLACE(@@GLOBAL.sql_mode, 'NO_BACKSLASH_ESCAPES', ''), ''), 'STRICT_ALL_TABLES')"
)


class Session(_Driver):  # type: ignore[misc]
    """The driver's connection. Every coroutine raises the driver's errors; `broken` says that it is out of step."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password.encode(),  # given text, the driver would send it as Latin-1
            database=settings.database,
            charset=settings.charset,
            connect_timeout=settings.timeout,
            autocommit=None,
            client_flag=FOUND_ROWS,  # an UPDATE counts the rows it found, also those that were so before
            local_infile=False,
            conv=decoders(),
            ssl=tls_context(settings),
            program_name="flowlang",
        )
        self._client_flag &= ~MULTI_STATEMENTS
        self.settings = settings
        self.max_packet = 0
        self.broken = False

    # ── opening ─────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect, log in, and set the session up. Whatever goes wrong, nothing stays open."""
        try:
            async with asyncio.timeout(self.settings.timeout):
                await self.connect()
                _watch(self._transport.get_extra_info("socket"))
                await self.query(_SET_UP.format(charset=self.settings.charset))
                await self.query("SELECT @@max_allowed_packet")
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"no session within {self.settings.timeout:g} s") from error
            raise
        self.max_packet = self._result.rows[0][0]

    _ssl_context: Any

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        if self._ssl_context is None or self.server_capabilities & SSL:
            return
        if self.settings.ssl_mode != "preferred":
            raise OperationalError(
                _CR_SSL_CONNECTION_ERROR, f"the server offers no TLS; `ssl_mode` is {self.settings.ssl_mode}"
            )
        self._ssl_context = None
        self._client_flag &= ~SSL

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        if plugin_name in _TELLS_PASSWORD and not self._identified:
            name = plugin_name.decode("ascii", "replace")
            raise OperationalError(
                _CR_AUTH_PLUGIN_CANNOT_LOAD,
                f"the server asks for the password itself (`{name}`): that needs `ssl_mode: verify_identity`",
            )
        return await super()._process_auth(plugin_name, auth_packet)

    @property
    def _identified(self) -> bool:
        return self._secure and self.settings.ssl_mode in ("verify_ca", "verify_identity")

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def result(self) -> Any:
        """What the last statement gave: `rows`, `description`, `affected_rows`, `message`, `has_next`."""
        return self._result

    @property
    def encoding(self) -> str:
        """Python's name of the session's charset."""
        return str(self._encoding)

    @property
    def usable(self) -> bool:
        return self._connected and not self._stream_broken and not self.broken

    @property
    def takes_bulk(self) -> bool:
        """Whether the server binds many rows to one statement (MariaDB)."""
        return bool(self._bulk_supported)

    async def send(self, text: bytes, *, unbuffered: bool = False) -> None:
        """Run one statement. An answer that is not read to its end leaves the session broken."""
        self.broken = True
        await self._execute_command(COM_QUERY, text)
        await self._read_query_result(unbuffered)
        self.broken = unbuffered and self._result.unbuffered_active

    async def rows_left(self, size: int) -> list[tuple[Any, ...]]:
        """The next rows of an unbuffered statement, at most `size`; fewer only at the end."""
        rows: list[tuple[Any, ...]] = []
        while len(rows) < size:
            row = await self._result._read_rowdata_packet_unbuffered()  # noqa: SLF001 - what the driver's cursor calls
            if row is None:
                self.broken = False
                break
            rows.append(row)
            rows += self._result._take_pending_rows(size - len(rows))  # noqa: SLF001
        return rows

    async def in_transaction(self) -> bool:
        """Whether a transaction is open, asked of the server."""
        await self._execute_command(COM_PING, b"")
        await self._read_ok_packet()
        return bool(self.get_transaction_status())

    async def reset(self) -> None:
        """A session as new: no transaction, variable, temporary table, lock or prepared statement is left."""
        self.broken = True
        await self._execute_command(_COM_RESET_CONNECTION, b"")
        await self._read_ok_packet()
        await self.query(_SET_UP.format(charset=self.settings.charset))
        await self.select_db(self.settings.database)
        self.broken = False

    @asynccontextmanager
    async def several_statements(self) -> AsyncIterator[None]:
        """Inside, one text may hold several statements."""
        await self._option(_MULTI_ON)
        try:
            yield
        finally:
            if self.usable:
                await self._option(_MULTI_OFF)

    async def _option(self, value: bytes) -> None:
        await self._execute_command(_COM_SET_OPTION, value)
        await self.read_packet()

    async def forget(self, statement: Any) -> None:
        """Free a prepared statement of the server."""
        if self.usable:
            await statement.close()

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────

    async def goodbye(self) -> None:
        """Close it, telling the server; also when the server does not listen."""
        try:
            async with asyncio.timeout(1):
                await self.ensure_closed()
        except (OSError, OperationalError):
            pass  # it is closed below, and the server finds out by itself
        finally:
            self.close()

    async def end_at_server(self) -> None:
        """Have the server end this session, with the statement that runs in it: by a second one, since a server does
        not look at a link that was cut before it has something to send."""
        await self._kill("KILL")

    async def stop_statement(self) -> None:
        """Have the server stop the statement that runs; the session goes on."""
        await self._kill("KILL QUERY")

    async def _kill(self, word: str) -> None:
        second = Session(replace(self.settings, timeout=min(self.settings.timeout, _KILL_TIMEOUT)))
        await second.open()
        try:
            await second.query(f"{word} {self.thread_id()}")
        except OperationalError as error:
            if error.args[0] != 1094:  # no such thread: it has ended by itself
                raise
        finally:
            await second.goodbye()


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What `ssl_mode` asks for; None for no TLS. Raises FlowExecutionError (`config`) where a file cannot be read."""
    if settings.ssl_mode == "disabled":
        return None
    import ssl

    try:
        if settings.ssl_mode in ("preferred", "required"):  # nobody is verified: authorities take a while to read
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context(cafile=settings.ssl_ca)
            context.check_hostname = settings.ssl_mode == "verify_identity"
        if settings.ssl_cert:
            context.load_cert_chain(settings.ssl_cert, settings.ssl_key)
    except OSError as error:
        named = settings.ssl_ca, settings.ssl_cert, settings.ssl_key
        raise unreadable(error, "ssl_ca" if settings.ssl_ca else "ssl_cert", *named) from error
    return context


def _watch(link: Any) -> None:
    """Let the system notice within a minute or so that the other end is gone."""
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)
        if link is not None and option is not None:
            link.setsockopt(socket.IPPROTO_TCP, option, value)
