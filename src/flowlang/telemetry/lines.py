"""Events as JSON lines: one object a line, written when it happens."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable

from flowlang.events import Event, to_record
from flowlang.telemetry.errors import TelemetryError
from flowlang.views.jsontext import record_json


class Lines:
    """A listener that appends to a file, or writes to stdout (`-`). Raises `TelemetryError` when it cannot be opened.

    Each line is written at once and whole, so that several programs may write to one file and a reader can follow it.
    When a line cannot be written (the disk is full, nobody reads the pipe) `warn` is told so, once; later events are
    lost, and the run goes on.
    """

    detailed = True

    def __init__(self, target: str, warn: Callable[[str], None]) -> None:
        self.name = "stdout" if target == "-" else f"`{target}`"
        self._warn = warn
        try:
            self._descriptor: int | None = _opened(target)
        except (OSError, ValueError) as error:  # a stdout that is closed, or no file at all
            reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
            raise TelemetryError(f"events cannot be written to {self.name}: {reason}") from error

    def __call__(self, event: Event) -> None:
        self.write(record_json(to_record(event)))

    def write(self, line: str) -> bool:
        """Write a line. Returns whether it, and all before it, could be written."""
        if self._descriptor is None:
            return False
        rest = memoryview(f"{line}\n".encode("utf-8", "backslashreplace"))
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.close()
            reason = (error.strerror or str(error)).lower()
            self._warn(f"events can no longer be written to {self.name}: {reason}; the run goes on without")
            return False
        return True

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _opened(target: str) -> int:
    """A descriptor of our own, which stays when stdout is lent to others. What a full disk cut off ends here."""
    if target == "-":
        if sys.stdout is None:
            raise ValueError("it is closed")
        sys.stdout.flush()
        return os.dup(sys.stdout.fileno())
    descriptor = os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and not _ends_a_line(descriptor):
            os.write(descriptor, b"\n")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _ends_a_line(descriptor: int) -> bool:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0:
        return True
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"
