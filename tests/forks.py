"""The command line in processes of their own that need not start Python and load the package each time.

`command` is what `python -m flowlang …` does: in its own working directory, environment and path, with its exit code
and all that it writes. Its process is a fork of one that has loaded modules and done nothing else. Which modules, that
one learns from its forks: after each, those that lie where they do for every command.

    python -m tests.forks       the process that is forked: a line of JSON for each command, answered by the exit code
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # seconds
# A shell starts background jobs with Ctrl-C ignored, `nohup` ignores a hang-up, and children inherit that: set back.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); from flowlang.cli import main; main()"
)
"""`python -c START …` is the command line where signals are to come through."""
KNOWN = (str(ROOT / "src"), sys.prefix, sys.base_prefix)  # where the modules of every command lie


# ---------------------------------------------------------------- what tests call


def command(
    *words: str, cwd: Path, env: Mapping[str, str], stdin: bytes = b"", merged: bool = False, strict: bool = False
) -> subprocess.CompletedProcess[str]:
    """`flowlang WORDS` in `cwd`, with nothing but `env` as its environment. `merged`: what it writes to stderr is in
    `stdout`. `strict`: a warning is an error."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "0").write_bytes(stdin)
        outputs = ["1", "1" if merged else "2"]
        asked = {"words": words, "cwd": str(cwd), "env": dict(env), "place": folder, "files": ["0", *outputs]}
        code = Parent.there().ask({**asked, "strict": strict})
        out, err = ((place / name).read_text("utf-8") for name in outputs)
    return subprocess.CompletedProcess(["flowlang", *words], code, out, "" if merged else err)


class Parent:
    """The process that is forked, in a session of its own: what hangs is ended with it."""

    _there: Parent | None = None

    @classmethod
    def there(cls) -> Parent:
        if cls._there is None:
            cls._there = cls()
            atexit.register(cls._there.close)
        return cls._there

    def __init__(self) -> None:
        words, pipe = [sys.executable, "-m", "tests.forks"], subprocess.PIPE
        self._process = subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, start_new_session=True)

    def ask(self, asked: Mapping[str, Any]) -> int:
        """The exit code of a command; below 0, the signal that ended it."""
        told, answers = self._process.stdin, self._process.stdout
        assert told is not None
        assert answers is not None
        try:
            told.write(json.dumps(asked).encode() + b"\n")
            told.flush()
            if not select.select([answers], [], [], PATIENCE)[0]:
                raise subprocess.TimeoutExpired(asked["words"], PATIENCE)
            return int(answers.readline())
        except BaseException:  # a timeout of the test, too: the next answer would be that of this command
            self.close()
            raise

    def close(self) -> None:
        """End it, and what it has forked."""
        type(self)._there = None
        atexit.unregister(self.close)
        with self._process:
            os.killpg(self._process.pid, signal.SIGKILL)


# ---------------------------------------------------------------- the process that is forked


def serve() -> None:
    """Fork for each line. A fork returns from here as a fresh process would begin; the process itself does not."""
    questions, answers, path = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"), sys.path[1:]
    importlib.import_module("flowlang.cli.app")
    for line in questions:
        asked = json.loads(line)
        gc.freeze()
        child = os.fork()
        if child == 0:
            questions.close()
            answers.close()
            become(asked, path)
            return
        _, status = os.waitpid(child, 0)
        told = Path(asked["place"], "modules")
        names = told.read_text().split() if told.exists() else []  # it was killed
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
        learn(names)
    os._exit(0)


def become(asked: Mapping[str, Any], path: list[str]) -> None:
    """Be the process of a command: its files, folder, environment, path and words."""
    place = Path(asked["place"])
    for number, name in enumerate(asked["files"]):
        opened = os.open(place / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    given = [each for each in asked["env"].get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [asked["cwd"], *given, *(each for each in path if each not in given)]
    sys.argv[:] = ["flowlang", *asked["words"]]
    importlib.invalidate_caches()
    if asked["strict"]:
        warnings.simplefilter("error")
    atexit.register(tell, place / "modules")


def tell(file: Path) -> None:
    """Write down which modules there are, in the order in which they came, of those that every command would find."""
    files = ((name, getattr(each, "__file__", None) or "") for name, each in [*sys.modules.items()])
    with contextlib.suppress(FileNotFoundError):  # nobody waits any more
        file.write_text("\n".join(name for name, lies in files if lies.startswith(KNOWN)))


def learn(names: list[str]) -> None:
    """Load what a command has loaded."""
    for name in names:
        with contextlib.suppress(ImportError):  # one that was made under another name
            importlib.import_module(name)


if __name__ == "__main__":
    serve()
    from flowlang.cli import main

    main()
