"""Ctrl-C and its kin: the first cancels the run, or stops the worker, in good order; the second leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from flowlang.cli.output import err

CANCELLING = "cancelling: on_cancel and finally run, connections are closed; once more to leave at once"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Interruption:
    """Which signal asked the run to end. `code` is the exit code that says so: 128 and the signal's number. `text` is
    told when the first one comes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.number: int | None = None
        self.cancel: Callable[[], None] | None = None  # how to end it, once it has begun

    @property
    def code(self) -> int:
        return 128 + (self.number or signal.SIGINT)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        # These are plain handlers, not the event loop's: they work while a task keeps the loop busy, too.
        if self.number is not None:
            os._exit(128 + number)
        self.number = number
        err(self.text)
        if self.cancel is not None:
            self.cancel()


@contextmanager
def interruptible(text: str = CANCELLING) -> Iterator[Interruption]:
    """Inside the block signals go to the `Interruption`. One that the process was told to ignore stays ignored."""
    interruption = Interruption(text)
    before = {}
    in_main = threading.current_thread() is threading.main_thread()  # elsewhere Python sets no handlers
    for name in _SIGNALS if in_main else ():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, interruption)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
