"""Log records on stderr, with the secrets of the run masked in all of them: drivers log what they like."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowlang.cli.output import say
from flowlang.diagnostics import visible


class MaskedHandler(logging.Handler):
    """Writes records to stderr. `clean` masks a text; it is set when the run, and so its secrets, are known."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)-7s %(name)s: %(message)s"))
        self.clean: Callable[[str], str] = str

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.clean(self.format(record))
        except Exception:  # noqa: BLE001 - a record whose arguments do not fit must not end the run
            self.handleError(record)
            return
        say("\n".join(visible(line) for line in text.splitlines()))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A record that cannot be written is named, not shown: its arguments may hold anything."""
        say(f"WARNING {visible(record.name)}: a log record of {visible(record.pathname)}:{record.lineno} is malformed")


@contextmanager
def logging_to_stderr(verbose: bool) -> Iterator[MaskedHandler]:
    """Warnings of any logger on stderr; with `verbose` everything down to DEBUG."""
    handler = MaskedHandler()
    top = logging.getLogger()
    before = top.level
    top.setLevel(logging.DEBUG if verbose else logging.WARNING)
    top.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield handler
    finally:
        logging.captureWarnings(False)
        top.removeHandler(handler)
        top.setLevel(before)
