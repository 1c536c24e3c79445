"""A peer that is gone without a word is noticed by the system: each link asks, within a minute or two."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from .conftest import FAULT, Place

pytestmark = pytest.mark.skipif("not hasattr(__import__('socket'), 'TCP_KEEPIDLE')", reason="Linux names them so")


async def test_every_link_asks_whether_the_other_end_is_there(place: Place) -> None:
    """Threat 33: `SO_KEEPALIVE` with times of its own, since those of the system are two hours."""
    found: list[tuple[int, int, int]] = []

    def look() -> None:
        for each in Path("/proc/self/fd").iterdir():
            number = int(each.name)
            try:
                is_link = stat.S_ISSOCK(os.fstat(number).st_mode)
            except OSError:
                continue  # the descriptor of this very listing
            if not is_link:
                continue
            with socket.socket(fileno=os.dup(number)) as link:
                if _peer(link) == ("127.0.0.1", place.proxy.port):
                    asks = link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                    idle = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                    every = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
                    found.append((asks, idle, every))

    await place.ok(place.service.read, FAULT, place.service.read, fault=[look])
    assert found
    assert all(asks and idle <= 120 and every <= 30 for asks, idle, every in found), found


def _peer(link: socket.socket) -> Any:
    try:
        return link.getpeername()
    except OSError:
        return None
