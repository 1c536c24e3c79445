"""How soon the system notices that the other end of a link is gone without a word."""

from __future__ import annotations

from typing import Any

_TIMES = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))  # seconds, seconds, questions


def keepalive_options() -> dict[int, int]:
    """The options of TCP for it, as far as this system has them: after a minute without an answer the link is broken.
    Left alone, systems wait for two hours before they ask."""
    import socket

    return {getattr(socket, name): value for name, value in _TIMES if hasattr(socket, name)}


def keep_alive(link: Any) -> None:
    """Set them on a TCP socket."""
    import socket

    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in keepalive_options().items():
        link.setsockopt(socket.IPPROTO_TCP, option, value)
