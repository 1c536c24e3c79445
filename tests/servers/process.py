"""One server program: found, set up in a folder of its own, started, awaited, stopped, killed, started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

PATIENCE = 60  # seconds that a server may take to answer, or to stop
HOST = "127.0.0.1"


class Missing(Exception):
    """The programs of a server are not on this machine; the text says how to get them."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def program(name: str, *folders: str) -> str | None:
    """The path of a program: in one of `folders` (patterns; the last match, so the newest), or on the path."""
    for pattern in folders:
        found = sorted(Path("/").glob(f"{pattern.lstrip('/')}/{name}"))
        if found:
            return str(found[-1])
    return shutil.which(name)


class Server(ABC):
    """A server program in `folder`. `start` waits until it answers; `stop`, `kill` and `start` again keep its data.

    A subclass says how its data folder is made, its command, and how to see that it answers.
    """

    kind: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    """Debian's packages that bring it."""
    account: ClassVar[str | None] = None
    """The account it runs under when the tests run as root."""

    def __init__(self, folder: Path) -> None:
        if self.user() is not None:
            # Another account has to get there, and each new run of pytest shuts its folders to all others again.
            folder = Path(tempfile.gettempdir()) / f"flowlang-{self.kind}-{uuid.uuid4().hex[:12]}"
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    # ── what a subclass states ──────────────────────────────────────────────────────────────────────────────

    @classmethod
    @abstractmethod
    def require(cls) -> None:
        """Raise `Missing` unless its programs are here."""

    @classmethod
    def build(cls, tools: Path) -> None:
        """Make, in the folder `tools`, what no package brings. Raises `Missing` when that fails."""
        del tools  # most have nothing to build

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The server in the foreground, on `HOST` and `port`."""

    @abstractmethod
    async def answers(self) -> None:
        """Raise unless it answers a request."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, with the account to use."""

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if not self.data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.own(self.folder)
            self.prepare()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, user=self.user(),
            )  # fmt: skip
        try:
            asyncio.run(self._answering())
        except BaseException:
            self.kill()
            raise

    async def _answering(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await asyncio.wait_for(self.answers(), timeout=5)
            except Exception as error:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.kind} does not answer; its log ends with:\n{self.log()}") from error
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, and wait until it has; one that does not is killed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`: it has no chance to say goodbye."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        _signal_each(self._children(), signal.SIGSTOP)
        if self._process is not None:
            _await_stop([self._process.pid, *self._children()])

    def resume(self) -> None:
        """Let a frozen server go on."""
        _signal_each(self._children(), signal.SIGCONT)
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def log(self) -> str:
        """The end of what it logged."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def remove(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        children = self._children()
        if number != signal.SIGKILL:  # one that is frozen must not go on for a moment before it is killed
            _signal_each(children, signal.SIGCONT)
            self._signal(signal.SIGCONT)
        self._signal(number)
        if number == signal.SIGKILL:
            _signal_each(children, number)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(PATIENCE)
        self._signal(signal.SIGKILL)  # what it left in its process group
        self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass  # the whole group is gone

    def _children(self) -> list[int]:
        """Its child processes; PostgreSQL's leave the process group."""
        if self._process is None:
            return []
        pid = self._process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    # ── for subclasses ──────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def user(cls) -> str | None:
        """The account to change to, None to stay what we are."""
        return cls.account if os.geteuid() == 0 else None

    def own(self, path: Path) -> None:
        """Hand a folder to the account that the server runs under, and let it pass through the folders above."""
        if (user := self.user()) is None:
            return
        shutil.chown(path, user)
        for above in path.parents:
            if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)

    def tool(self, *words: str) -> None:
        """Run a program of the server to its end, under the server's account."""
        done = subprocess.run(
            words, cwd=self.folder, user=self.user(), capture_output=True, timeout=PATIENCE, check=False
        )
        if done.returncode:
            raise RuntimeError(
                f"{words[0]} ended with {done.returncode}:\n{done.stdout.decode()}{done.stderr.decode()}"
            )


def _await_stop(processes: Sequence[int]) -> None:
    """Until every thread has stopped: one on another core may answer a little longer."""
    deadline = time.monotonic() + PATIENCE
    while not all(_stopped(each) for process in processes for each in Path(f"/proc/{process}/task").glob("*/stat")):
        if time.monotonic() > deadline:
            raise RuntimeError("a server that was told to stop goes on")
        time.sleep(0.001)


def _stopped(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "TtZX"
    except (FileNotFoundError, ProcessLookupError):
        return True  # it is over


def _signal_each(processes: Sequence[int], number: int) -> None:
    for each in processes:
        try:
            os.kill(each, number)
        except ProcessLookupError:
            pass  # it has ended meanwhile
