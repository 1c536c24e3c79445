"""Where file tasks may reach, and how a file is replaced as a whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, ParamSpec, TypeVar

from flowlang.exceptions import FlowExecutionError

if TYPE_CHECKING:
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

FILES_ROOT: ContextVar[str | os.PathLike[str] | None] = ContextVar("FILES_ROOT", default=None)
"""The folder that file tasks may use, set by the engine for each run; None is the working directory."""


def located(path: str) -> Path:
    """The file that `path` means, links resolved.

    Raises FlowExecutionError: `validation` for a path that is no path, `permission` for one that leaves the root.
    """
    if not path.strip() or "\0" in path:
        raise invalid(f"{path!r} is no path of a file")
    from pathlib import Path

    given = Path(path)
    if ".." in given.parts:
        raise FlowExecutionError(f"the path {path!r} contains `..`", error_class="permission")
    root = Path(FILES_ROOT.get() or ".").resolve()
    try:
        found = (root / given).resolve()
    except (OSError, RuntimeError) as error:
        raise invalid(f"the path {path!r} cannot be followed: {error}") from error
    if not found.is_relative_to(root):
        raise FlowExecutionError(f"the path {path!r} leads out of the files root {root}", error_class="permission")
    return found


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn what the system says of a file into an error with a class."""
    try:
        yield
    except FileNotFoundError as error:
        raise FlowExecutionError(f"there is no {path!r}, or no folder for it", error_class="not_found") from error
    except PermissionError as error:
        raise FlowExecutionError(f"{path!r} may not be used: {error.strerror}", error_class="permission") from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise invalid(f"{path!r} is no file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise invalid(f"{path!r} is not valid {error.encoding}: byte {error.start + 1}: {error.reason}") from error
    except UnicodeEncodeError as error:
        raise invalid(f"the text for {path!r} cannot be written as {error.encoding}: {error.reason}") from error
    except LookupError as error:
        raise invalid(f"{path!r}: {error}") from error
    except OSError as error:
        full = error.errno in _FULL
        raise FlowExecutionError(
            f"{path!r}: {error.strerror}", error_class="limit" if full else "unavailable"
        ) from error


def _full_errors() -> frozenset[int]:
    import errno

    return frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE})


_FULL = _full_errors()


def open_to_read(file: Path) -> IO[bytes]:
    """An ordinary file; a pipe or a device would block or never end."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(0, "it is a folder")
        if not stat.S_ISREG(mode):
            raise invalid(f"{file.name!r} is no ordinary file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


class Replacement:
    """A new content for a file, which takes its place in `keep`, or vanishes in `drop`."""

    def __init__(self, target: Path) -> None:
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        self._target = target
        self._path = target.with_name(f".{target.name[:100]}.{os.urandom(6).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self.file: IO[bytes] = os.fdopen(os.open(self._path, flags, 0o666), "wb")
        try:
            self._path.chmod(stat.S_IMODE(target.stat().st_mode))
        except FileNotFoundError:
            pass  # nothing to replace: the mode is the process's own
        except BaseException:
            self.drop()
            raise

    def keep(self) -> None:
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self._path.replace(self._target)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        try:
            self.file.close()
        except OSError:
            pass  # what could not be written is thrown away anyway
        self._path.unlink(missing_ok=True)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call in a thread. A cancellation waits until the thread has done with its file."""
    import asyncio

    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()
        raise cancelled
    return work.result()


def invalid(message: str) -> FlowExecutionError:
    return FlowExecutionError(message, error_class="validation")
