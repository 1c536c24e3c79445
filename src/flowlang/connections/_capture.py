"""What foreign code prints while it is imported or asked: kept apart, so that it spoils no machine-readable output."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

_LONGEST = 4000


class Output(io.StringIO):
    """`text` is what was written so far to standard output and standard error, cut at a few thousand characters."""

    @property
    def text(self) -> str:
        return self.getvalue()[:_LONGEST]


@contextlib.contextmanager
def captured() -> Iterator[Output]:
    """Collect what is printed inside the `with` block."""
    output = Output()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        yield output
