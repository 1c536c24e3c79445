"""Going to an endpoint one layer at a time: the name, the socket, the handshake of TLS; or the file.

Each probe returns a line about what it found, or raises `Trouble`. They leave nothing open. The caller bounds the time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from typing import Any

from flowlang.connections.endpoints import File, Server, Socket, Tls
from flowlang.exceptions import FlowLangError

_LISTED = 3  # addresses shown of a name that stands for many


class Trouble(FlowLangError):
    """Why a stage failed. `aspect`: what of the config it is about, as `host`, `port`, `verify`; `remedy`: one line."""

    def __init__(self, reason: str, aspect: str, remedy: str, error_class: str = "connect") -> None:
        super().__init__(reason)
        self.aspect = aspect
        self.remedy = remedy
        self.error_class = error_class


Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


# ---------------------------------------------------------------- the name


async def addresses(server: Server) -> list[str]:
    """The addresses that the host's name stands for."""
    try:
        found = await _looked_up(server.host, server.port)
    except UnicodeError:
        raise Trouble(f"`{server.host}` is no name of a host", "host", "write the host's name or its address") from None
    except socket.gaierror as error:
        remedy = (
            "correct the name, or look whether this machine can look it up: its DNS, a VPN, the container's network"
        )
        if error.errno == socket.EAI_AGAIN:
            remedy = f"the name service itself did not answer; {remedy}"
        raise Trouble(f"no address for `{server.host}`: {_lower(error)}", "host", remedy) from error
    for each in found if server.allowed is not None else ():
        refused = server.allowed(each) if server.allowed is not None else None
        if refused is not None:
            raise Trouble(f"`{server.host}` is {each}: {refused}", "host", "reach it by a public address", "permission")
    return found


async def _looked_up(host: str, port: int) -> list[str]:
    """`getaddrinfo` in a thread that nobody waits for when the time is up: it cannot be interrupted."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def give(found: list[str] | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def ask() -> None:
        found: list[str] | None = None
        failure: Exception | None = None
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(each[4][0]) for each in infos))
        except (OSError, UnicodeError) as error:
            failure = error
        try:
            loop.call_soon_threadsafe(give, found, failure)
        except RuntimeError:
            return  # the loop is closed: the test was over before the name service answered

    threading.Thread(target=ask, name="flowlang-name", daemon=True).start()
    return await answer


def listed(host: str, found: list[str]) -> str:
    """A line about a name and its addresses."""
    if found == [host]:
        return f"{host} is an address"
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"{host} is {', '.join(found[:_LISTED])}{more}"


# ---------------------------------------------------------------- the socket


async def dial(found: list[str], port: int) -> Link:
    """A link to the first address that answers."""
    failure: OSError | None = None
    for each in found:
        try:
            return await asyncio.open_connection(each, port)
        except OSError as error:
            failure = failure or error
    raise _not_reached(failure or OSError("it has no address"), _at(found[0] if found else "", port))


def _not_reached(error: OSError, place: str) -> Trouble:
    if isinstance(error, ConnectionRefusedError):
        remedy = "start the service, or correct the port; in a container `localhost` is the container itself"
        return Trouble(f"{place} refuses the connection: nothing listens there", "port", remedy)
    remedy = "look at the host's address, and whether a firewall or a missing route stands between"
    return Trouble(f"{place} is not reached: {_lower(error)}", "host", remedy)


async def plug(endpoint: Socket) -> str:
    """Connect to a Unix socket and let go."""
    try:
        _, writer = await asyncio.open_unix_connection(endpoint.path)
    except FileNotFoundError as error:
        raise Trouble(
            f"there is no socket {endpoint.path}", endpoint.field, "start the service, or correct the path"
        ) from error
    except OSError as error:
        raise Trouble(
            f"the socket {endpoint.path} does not answer: {_lower(error)}",
            endpoint.field,
            "start the service, or look at the socket's owner and mode",
        ) from error
    await let_go(writer)
    return f"{endpoint.path} answers"


async def let_go(writer: asyncio.StreamWriter) -> None:
    """Close a link at once, whatever state it is in."""
    writer.transport.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the loop lets go of the socket in its next turn


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# ---------------------------------------------------------------- TLS


async def secure(link: Link, server: Server, tls: Tls) -> str:
    """Shake hands as the connection would."""
    reader, writer = link
    try:
        context = await asyncio.to_thread(tls.context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = f"the certificates of the settings cannot be read: {_lower(error)}"
        raise Trouble(reason, "trust", "look at the paths, and whether the files are PEM", "config") from error
    try:
        if tls.ask is not None and not await tls.ask(reader, writer):
            if not tls.required:
                return "the server has none; the connection goes on without"
            remedy = "switch TLS on at the server, or allow the connection to go without where the network is trusted"
            raise Trouble("the server does not offer TLS", "switch", remedy)
        await writer.start_tls(context, server_hostname=tls.name or server.host)
    except ssl.SSLCertVerificationError as error:
        raise _not_trusted(error, tls.name or server.host) from error
    except (OSError, EOFError) as error:
        remedy = "look whether this port speaks TLS; where the network is trusted, connect without"
        raise Trouble(f"no handshake: {_said(error)}", "switch", remedy) from error
    return _described(writer, context)


def _not_trusted(error: ssl.SSLCertVerificationError, host: str) -> Trouble:
    """By OpenSSL's numbers (X509_V_ERR_… of `x509_vfy.h`): 9 and 10 dates, 18 to 21 the chain, 62 and 64 the name."""
    code = error.verify_code
    if code in (9, 10):
        when = "has expired" if code == 10 else "is not valid yet"
        remedy = "renew the server's certificate" if code == 10 else "look at the clocks of both machines"
        return Trouble(f"the server's certificate {when}", "verify", remedy)
    if code in (62, 64):
        reason = f"the server's certificate is not for `{host}`"
        return Trouble(reason, "host", "connect by a name that the certificate holds, or give the server a fitting one")
    if code in (18, 19, 20, 21):
        reason = f"the server's certificate is from an authority that is not trusted ({error.verify_message})"
        return Trouble(reason, "trust", "name the file of its authority, or have the server send its whole chain")
    return Trouble(f"the server's certificate does not hold: {error.verify_message}", "verify", "renew it")


def _described(writer: asyncio.StreamWriter, context: ssl.SSLContext) -> str:
    secured: Any = writer.get_extra_info("ssl_object")
    version = secured.version() if secured is not None else "TLS"
    if context.verify_mode == ssl.CERT_NONE:
        return f"{version}; the certificate is not checked"
    expires = (writer.get_extra_info("peercert") or {}).get("notAfter")
    until = f", valid until {expires}" if expires else ""
    return f"{version}, the certificate holds{until}" + ("" if context.check_hostname else "; its name is not checked")


# ---------------------------------------------------------------- files


def look(file: File) -> str:
    """Whether a file is there, and may be used as it will be."""
    path, folder = file.path, os.path.dirname(file.path)
    field = file.field
    if not os.path.isdir(folder):
        raise Trouble(f"there is no folder {folder}", field, "make the folder, or correct the path", "connect")
    if not os.path.lexists(path):
        if not file.creates:
            raise Trouble(f"there is no file {path}", field, "correct the path; a relative one counts from here")
        if not os.access(folder, os.W_OK):
            raise Trouble(
                f"no file can be made in {folder}", field, "look at the folder's owner and mode", "permission"
            )
        return f"{path} will be made"
    if not os.path.isfile(path):
        raise Trouble(f"{path} is no ordinary file", field, "give the path of a file")
    wanted = os.R_OK | (os.W_OK if file.writes else 0)
    if not os.access(path, wanted):
        how = "read and written" if file.writes else "read"
        raise Trouble(f"{path} may not be {how} by this user", field, "look at its owner and mode", "permission")
    return f"{path}, {os.path.getsize(path):,} bytes"


def _lower(error: BaseException) -> str:
    return _said(error).lower()


def _said(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
