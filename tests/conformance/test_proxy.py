"""The proxy of the conformance kit leaves nothing behind, whatever became of its links."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time

import pytest

from flowlang.conformance.proxy import HOST, Proxy

MUCH = b"x" * (32 * 1024 * 1024)  # more than any buffer on the way holds


def test_a_service_that_takes_nothing_does_not_hold_it_up(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "asyncio"), socket.create_server((HOST, 0)) as service:
        began = time.monotonic()
        with Proxy(service.getsockname()[:2]) as proxy, socket.create_connection((HOST, proxy.port)) as plugin:
            sending = threading.Thread(target=_send, args=(plugin,))
            sending.start()
            taken, _ = service.accept()
            seen = 0
            while proxy.requests == 0 or proxy.requests > seen:  # until it is stuck
                seen = proxy.requests
                assert time.monotonic() - began < 60
                time.sleep(0.3)
        sending.join()
        taken.close()
        gc.collect()
    assert caplog.messages == []


@pytest.mark.parametrize("end", ["plugin", "service"])
def test_links_that_are_just_ending(end: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "asyncio"), socket.create_server((HOST, 0)) as service:
        for _ in range(20):
            with Proxy(service.getsockname()[:2]) as proxy:
                links = [socket.create_connection((HOST, proxy.port)) for _ in range(5)]
                taken = [service.accept()[0] for _ in links]
                for each in links if end == "plugin" else taken:
                    each.close()
            for each in (*links, *taken):
                each.close()
        gc.collect()
    assert caplog.messages == []


def _send(plugin: socket.socket) -> None:
    try:
        plugin.sendall(MUCH)
    except OSError:
        pass  # the link is gone by then
