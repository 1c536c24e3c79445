"""Writing to stdout and stderr: closed pipes, odd encodings, colours, and a stdout that only the result may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


def prepare() -> None:
    """A character that the terminal cannot show is escaped, not an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def out(text: str) -> None:
    """Write lines to stdout. A pipe that nobody reads any more is no error; `OSError`: they cannot be kept."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        hush()


def err(text: str) -> None:
    """Write lines to stderr, control characters escaped; when that fails there is nobody to tell."""
    from flowlang.diagnostics import visible

    say("\n".join(visible(line) for line in text.split("\n")))


def told(error: Exception) -> str:
    """What went wrong with a file, and with which: `out/a.svg`: no such file or directory."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    reason = error.strerror.lower()
    return reason if error.filename is None else f"`{error.filename}`: {reason}"


def failed(error: Exception) -> int:
    """Say that a file or a store could not be used; the exit code."""
    from flowlang.exceptions import StoreUnavailable

    err(f"error: {told(error)}")
    return 3 if isinstance(error, StoreUnavailable) else 1


def say(text: str) -> None:
    """Write lines that have been made safe (a view's, with colours) to stderr."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _to_nowhere(sys.stderr)


def hush() -> None:
    """Nobody reads stdout any more: what is still buffered goes nowhere, without a complaint at exit."""
    _to_nowhere(sys.stdout)


def _to_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError, AttributeError):
        return  # not a real file: nothing of it is left to flush
    finally:
        os.close(nowhere)


def out_json(value: Any, *, indent: int | None = 2) -> None:
    """Write one JSON document to stdout, in UTF-8 whatever the terminal's encoding is."""
    from flowlang.views.jsontext import record_json

    write_utf8(record_json(value, indent))


def write_utf8(text: str) -> bool:
    """Write lines to stdout, in UTF-8. Returns whether they arrived: False when stdout is closed."""
    if sys.stdout is None:
        return False
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        out(text)
        return True
    try:
        sys.stdout.flush()
        binary.write(text.encode("utf-8") + b"\n")
        binary.flush()
    except BrokenPipeError:
        hush()
        return False
    return True


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person watches `stream` on something that can move its cursor."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


def colours(stream: TextIO | None) -> bool:
    """Whether to colour: on terminals only, never with NO_COLOR (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def shows_unicode(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Inside the block, what tasks and their child processes write to stdout goes to stderr: it is not the result."""
    from contextlib import redirect_stdout

    try:
        descriptor = sys.stdout.fileno()
        sys.stdout.flush()
        kept = os.dup(descriptor)
    except (OSError, ValueError, AttributeError):
        with redirect_stdout(sys.stderr):
            yield
        return
    try:
        os.dup2(sys.stderr.fileno(), descriptor)
    except (OSError, ValueError, AttributeError):
        _to_nowhere(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
