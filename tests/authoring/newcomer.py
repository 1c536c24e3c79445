"""What a newcomer does after `flowlang plugin new`: build the wheel, install it into a fresh environment, use it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


def done(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None, code: int = 0) -> str:
    """Run a command that has to end with `code`; what it printed."""
    ended = subprocess.run(
        [str(each) for each in words],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == code, f"{' '.join(map(str, words))} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment with the wheel; FlowLang and the tools are those of the one that the tests run in."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def flowlang(self, *words: str | Path, cwd: Path, **env: str) -> str:
        return done(self.python, "-m", "flowlang", *words, cwd=cwd, env=env)


def installed(package: Path, folder: Path) -> Environment:
    """The package as a wheel, built and installed without a network."""
    made = Environment(folder / "env")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    offline = ("--quiet", "--no-deps", "--no-index")
    done(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder / "dist", ".", cwd=package)
    done(sys.executable, "-m", "venv", "--without-pip", made.folder, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    done(*pip, "--python", made.python, "install", *offline, wheel, cwd=folder)
    (site,) = made.folder.glob("lib/*/site-packages")
    (site / "developer.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT / 'src'}\n")
    return made


def only_tests(package: Path, folder: Path) -> Path:
    """The package's tests without its sources, so that it is the wheel that they test."""
    target = folder / "alone"
    target.mkdir()
    shutil.copytree(package / "tests", target / "tests")
    shutil.copy(package / "pyproject.toml", target)
    return target


def double(package: Path) -> ModuleType:
    """The module of the package's double."""
    spec = importlib.util.spec_from_file_location(f"double_of_{package.name}", package / "tests/double.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module
