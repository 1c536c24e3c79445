"""Where sessions lead, and how a server is asked for TLS, for the test of a connection. No driver is needed.

The packets are those of the handshake (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowlang.connections.endpoints import Server, Tls, client_context

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter

    from flowlang.connections.mysql.config import Settings

_PROTOCOL_41, _SSL, _SECURE, _PLUGIN_AUTH = 0x200, 0x800, 0x8000, 0x80000
_UTF8MB4, _LARGEST = 45, 1 << 24
_REFUSED = 0xFF  # the first byte of an error in place of a greeting


def place_of(settings: Settings) -> Server:
    if settings.ssl_mode == "disabled":
        return Server(settings.host, settings.port, database=settings.database)

    def context() -> ssl.SSLContext:
        chain = settings.ssl_mode in ("verify_ca", "verify_identity")
        names = settings.ssl_mode == "verify_identity"
        return client_context(settings.ssl_ca, settings.ssl_cert, settings.ssl_key, chain=chain, names=names)

    required = settings.ssl_mode != "preferred"
    link = Tls(context, _asked, required, verify="ssl_mode", trust="ssl_ca", switch="ssl_mode")
    return Server(settings.host, settings.port, link, database=settings.database)


async def _asked(reader: StreamReader, writer: StreamWriter) -> bool:
    """Read the greeting, and ask for TLS if the server has it."""
    header = await reader.readexactly(4)
    greeting = await reader.readexactly(int.from_bytes(header[:3], "little"))
    if greeting[0] == _REFUSED:
        raise ConnectionRefusedError(f"the server refuses: {greeting[3:].decode('utf-8', 'replace')}")
    after = greeting.index(0, 1) + 1 + 4 + 8 + 1  # the version, the number of the thread, a part of the salt, a filler
    if not int.from_bytes(greeting[after : after + 2], "little") & _SSL:
        return False
    wanted = (_PROTOCOL_41 | _SSL | _SECURE | _PLUGIN_AUTH).to_bytes(4, "little")
    request = wanted + _LARGEST.to_bytes(4, "little") + bytes([_UTF8MB4]) + bytes(23)
    writer.write(len(request).to_bytes(3, "little") + b"\x01" + request)
    await writer.drain()
    return True
