"""`flowlang connection install` for real: a fresh environment, an installer, a package that needs no network."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.authoring.newcomer import ROOT, TOOLS
from tests.connections.guide import laying

PLUGIN = """
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict

from flowlang.connections.typed import TypedPlugin, task


@dataclass(frozen=True)
class Config:
    pass


class Count(TypedDict):
    count: int


class PebblesPlugin(TypedPlugin[Config]):
    \"\"\"A heap of pebbles\"\"\"

    name = "pebbles"
    version = "1.0.0"
    requires = ("pebble-client>=2",)

    @asynccontextmanager
    async def open(self, config):
        import pebble_client

        yield pebble_client

    @task(effect="read")
    async def count(self, connection) -> Count:
        return {"count": connection.COUNT}
"""
FLOW = """
flow: f
connections: {heap: {type: pebbles}}
steps:
  - pebbles_count: {id: it, connection: heap}
outputs:
  - {name: count, value: "${it.count}"}
"""


@dataclass(frozen=True)
class Place:
    """A fresh environment with FlowLang and the plugin; `wheels` is where installers look, and nowhere else."""

    folder: Path
    wheels: Path

    @property
    def python(self) -> Path:
        return self.folder / "env/bin/python"

    def environment(self, path: str) -> dict[str, str]:
        own = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(self.wheels),
            "UV_NO_CONFIG": "1",
            "UV_CACHE_DIR": str(self.folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TERM": "xterm",
        }
        return {"HOME": str(self.folder), "PATH": path, **own}

    def flowlang(self, *words: str, path: str = "", typed: str | None = None) -> tuple[int, str]:
        """The exit code, and all that is shown. `typed` is what a person types, on a terminal then."""
        command, env = [self.python, "-m", "flowlang", *words], self.environment(path)
        ours, theirs = pty.openpty() if typed is not None else (None, None)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdin=theirs if theirs is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs if theirs is not None else subprocess.STDOUT,
            text=True,
        )
        if ours is None or theirs is None:
            return self._ended(process, process.communicate(timeout=120)[0])
        os.close(theirs)
        os.write(ours, str(typed).encode())
        shown, told = process.communicate(timeout=120)[0], b""
        try:
            while part := os.read(ours, 65536):
                told += part
        except OSError:  # the other side is closed
            pass
        os.close(ours)
        return self._ended(process, shown + told.decode())

    def _ended(self, process: subprocess.Popen[str], shown: str) -> tuple[int, str]:
        assert "Traceback" not in shown, shown
        return process.returncode, shown

    @property
    def has_it(self) -> bool:
        return any(self.folder.glob("env/lib/*/site-packages/pebble_client.py"))


def wheel(folder: Path) -> None:
    """What the plugin needs, as an installer takes it."""
    info, tags = "pebble_client-2.1.dist-info", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / "pebble_client-2.1-py3-none-any.whl", "w") as file:
        file.writestr("pebble_client.py", "COUNT = 7\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pebble-client\nVersion: 2.1\n")
        file.writestr(f"{info}/WHEEL", tags)
        file.writestr(f"{info}/RECORD", "".join(f"{each},,\n" for each in ("pebble_client.py", f"{info}/METADATA")))


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Place]:
    def made(*, pip: bool = True) -> Place:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
        (site,) = (tmp_path / "env").glob("lib/*/site-packages")
        developer = Path(sysconfig.get_path("purelib"))
        if not pip:
            (tmp_path / "others").mkdir()
            for each in developer.iterdir():
                if not each.name.startswith("pip"):
                    (tmp_path / "others" / each.name).symlink_to(each)
            developer = tmp_path / "others"
        (site / "developer.pth").write_text(f"{developer}\n{ROOT / 'src'}\n")
        laying.module(site, "flowlang_pebbles", PLUGIN, "pebbles = flowlang_pebbles:PebblesPlugin")
        (tmp_path / "f.yaml").write_text(FLOW)
        (tmp_path / "wheels").mkdir()
        wheel(tmp_path / "wheels")
        return Place(tmp_path, tmp_path / "wheels")

    return made


def test_pip_installs_what_is_missing_after_a_yes(place: Callable[..., Place]) -> None:
    """The command is shown before the question; nothing happens without a yes; afterwards nothing is left to do."""
    here = place()
    code, shown = here.flowlang("connection", "install", "pebbles", typed="\n")
    assert code == 1
    assert shown.startswith(f"$ {shlex.join([str(here.python), '-m', 'pip', 'install', 'pebble-client>=2'])}\n")
    assert "Run it? [y/N]" in shown
    assert "nothing was installed" in shown
    assert not here.has_it
    code, shown = here.flowlang("connection", "install", "pebbles", typed="y\n")
    assert code == 0, shown
    assert "Successfully installed pebble-client-2.1" in shown
    assert "pebbles: everything it needs is installed\n" in shown
    assert here.flowlang("run", "f.yaml")[1].endswith("count = 7\n")
    assert here.flowlang("connection", "install", "pebbles") == (0, "pebbles: everything it needs is installed\n")


def test_what_went_wrong_is_shown(place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the installer's own words; also when it succeeds, and puts things where this Python does not look."""
    here = place()
    shutil.move(here.wheels, here.folder / "away")
    code, shown = here.flowlang("connection", "install", "pebbles", "--yes")
    assert code == 1
    assert "No matching distribution found for pebble-client>=2" in shown
    assert "error: the installer ended with exit code 1" in shown
    shutil.move(here.folder / "away", here.wheels)
    elsewhere = {**here.environment(""), "PIP_TARGET": str(here.folder / "elsewhere")}
    monkeypatch.setattr(Place, "environment", lambda self, path: elsewhere)
    code, shown = here.flowlang("connection", "install", "pebbles", "--yes")
    assert (code, (here.folder / "elsewhere/pebble_client.py").is_file()) == (1, True)
    assert f"{here.python} lacks `pebble-client>=2` (not installed)" in shown


def test_uv_installs_where_there_is_no_pip(place: Callable[..., Place]) -> None:
    """Into the same environment. Where there is neither, that is said, with what brings one."""
    here = place(pip=False)
    code, shown = here.flowlang("connection", "install", "pebbles", "--yes")
    assert code == 2
    assert f"neither pip nor uv is there: `{here.python} -m ensurepip` brings pip" in shown
    code, shown = here.flowlang("connection", "install", "pebbles", "--yes", path=str(TOOLS))
    assert code == 0, shown
    assert f"$ {TOOLS}/uv pip install --python {here.python} 'pebble-client>=2'\n" in shown
    assert here.flowlang("run", "f.yaml")[1].endswith("count = 7\n")
