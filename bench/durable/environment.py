"""The environment of the engines that FlowLang is measured beside, in .cache/: never the project's own .venv.

Made once and again when a pin changes. What cannot be installed is no failure: it is known by its reason.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache/bench-durable"
REQUIREMENTS, NPM = HERE / "requirements.txt", HERE / "package.json"
PATIENCE = 900  # seconds for the whole of one installation


@dataclass(frozen=True, slots=True)
class Environment:
    """`missing`: why a package (its name in lower case) could not be installed."""

    python: Path
    restate: Path
    missing: dict[str, str]


def environment() -> Environment:
    """Make it unless it is there."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + NPM.read_bytes() + sys.version.encode()).hexdigest()
    python, stamp = CACHE / "venv/bin/python", CACHE / "stamp.json"
    kept = json.loads(stamp.read_text()) if stamp.exists() else {}
    if kept.get("wanted") != wanted:
        shutil.rmtree(CACHE, ignore_errors=True)
        print(f"Setting up {CACHE} ...", flush=True)
        venv.create(CACHE / "venv", with_pip=True)
        kept = {"wanted": wanted, "missing": _python_packages(python) | _npm_packages()}
        stamp.write_text(json.dumps(kept, indent=1))
    server = next(iter(sorted(CACHE.glob("npm/node_modules/@restatedev/restate-server-*/bin/restate-server"))), None)
    return Environment(python, server or CACHE / "no-restate-server", kept["missing"])


def _python_packages(python: Path) -> dict[str, str]:
    """Install all pins at once; when that fails, one by one, to know which do not go."""
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if _why_not([*install, "--requirement", str(REQUIREMENTS)]) is None:
        return {}
    missing = {}
    for line in REQUIREMENTS.read_text("utf-8").splitlines():
        if line and not line.startswith("#") and (reason := _why_not([*install, line])) is not None:
            missing[re.split(r"[\[=]", line)[0].lower()] = reason
    return missing


def _npm_packages() -> dict[str, str]:
    if (npm := shutil.which("npm")) is None:
        return {"@restatedev/restate-server": "there is no npm on this machine"}
    folder = CACHE / "npm"
    folder.mkdir()
    shutil.copy(NPM, folder)
    # without the packages' install scripts: the only one here reports the installation to its makers
    reason = _why_not([npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"])
    return {} if reason is None else {"@restatedev/restate-server": reason}


def _why_not(words: list[str]) -> str | None:
    """Run a command; the line that says why it failed, if it did."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"not installed within {PATIENCE} s"
    if done.returncode == 0:
        return None
    lines = [each.strip() for each in (done.stdout + done.stderr).splitlines() if each.strip()]
    return next((each for each in lines if "error" in each.lower()), lines[-1] if lines else "no reason given")
