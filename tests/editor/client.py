"""A client of a language server: JSON-RPC over the pipes of a real process, as an editor speaks it."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

LIMIT = 60.0  # seconds to wait for any one message: long, since the machine may be loaded


class Client:
    """Starts the server; `close()` ends it. Requests that the server sends are answered by `answers`."""

    def __init__(self, command: Sequence[str], answers: dict[str, Callable[[Any], Any]] | None = None, **options: Any):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, **options)
        self.answers = answers or {}
        self.notifications: list[dict[str, Any]] = []
        self.replies: dict[int, dict[str, Any]] = {}
        self.stderr = b""
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._number = 0
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._read_errors)]
        for each in self._threads:
            each.start()

    # ------------------------------------------------------------ the wire

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                header = stream.readline()
            self._messages.put(json.loads(stream.read(length)))
        self._messages.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.stderr = self.process.stderr.read()

    def write(self, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def send(self, message: dict[str, Any]) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode())

    # ------------------------------------------------------------ what tests call

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def begin(self, method: str, params: Any) -> int:
        """Send a request; its number, for `finish`."""
        self._number += 1
        self.send({"id": self._number, "method": method, "params": params})
        return self._number

    def finish(self, number: int) -> dict[str, Any]:
        """The reply to a request, with `result` or `error`."""
        self._until(lambda: number in self.replies)
        return self.replies.pop(number)

    def request(self, method: str, params: Any) -> Any:
        reply = self.finish(self.begin(method, params))
        assert "error" not in reply, reply["error"]
        return reply["result"]

    def wait_for(self, method: str, wanted: Callable[[Any], bool] = lambda params: True) -> Any:
        """The parameters of the first notification that is `wanted`; it and those before it are forgotten."""
        while True:
            for place, each in enumerate(self.notifications):
                if each["method"] == method and wanted(each["params"]):
                    del self.notifications[: place + 1]
                    return each["params"]
            count = len(self.notifications)
            self._until(lambda count=count: len(self.notifications) > count)

    def close(self) -> int:
        """Shut the server down as the protocol says; its exit code."""
        if self.process.poll() is None:
            self.request("shutdown", None)
            self.notify("exit", None)
        self.process.wait(LIMIT)
        for each in self._threads:
            each.join(LIMIT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return self.process.returncode

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(LIMIT)

    def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            message = self._messages.get(timeout=LIMIT)
            assert message is not None, f"the server has ended: {self.stderr.decode(errors='replace')}"
            if "method" in message and "id" in message:
                answer = self.answers.get(message["method"], lambda params: None)
                self.send({"id": message["id"], "result": answer(message.get("params"))})
            elif "method" in message:
                self.notifications.append(message)
            else:
                self.replies[message["id"]] = message
