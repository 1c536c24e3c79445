"""Installs what the tests need beside Python packages, once: `make tools`, which `make test` calls by itself.

    python -m tests.tools.setup STAMP

The servers of `tests/servers` and the sources of locales come from Debian's packages, when we are root. The npm
packages of `package.json` go into the folder of the file STAMP, which is written when all is there. Elsewhere this says
what to do, and the tests that need what is missing are skipped with that reason. In CI it is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.kinds import PROGRAMS
from tests.servers.process import Missing, Server

LOCALES = Path("/usr/share/i18n/locales/tr_TR")
WANTED = Path(__file__).parent / "package.json"
HOW = "install Node.js with npm (Debian and Ubuntu: apt install nodejs npm), then: make tools"
MINUTES = 60  # seconds in one


def main(stamp: Path) -> int:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    locales()
    done = [*(server(each, stamp.parent) for each in PROGRAMS.values()), packages(stamp.parent)]
    if all(done):
        stamp.touch()
        return 0
    return 1 if os.environ.get("CI") else 0


def server(kind: type[Server], tools: Path) -> bool:
    """Whether the programs of a server are there, if need be after installing or building them."""
    for remedy in (None, _build, _packages, _build):  # what builds it may be here, though no package brought it
        try:
            if remedy is not None:
                remedy(kind, tools)
            kind.require()
        except Missing as missing:
            reason = missing
        else:
            return True
    sys.stderr.write(f"some tests will be skipped: {reason}, then: make tools\n")
    return False


def _packages(kind: type[Server], tools: Path) -> None:
    if root() and kind.packages:
        debian(*kind.packages)


def _build(kind: type[Server], tools: Path) -> None:
    kind.build(tools)


def locales() -> None:
    """The sources of locales; where they cannot be had, the test that tries some says which it did not."""
    if not LOCALES.exists() and root():
        debian("locales")


def packages(folder: Path) -> bool:
    """Whether the npm packages are in `folder` now."""
    if not npm():
        sys.stderr.write(f"npm was not found, so some tests will be skipped; {HOW}\n")
        return False
    shutil.copy(WANTED, folder / "package.json")
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    return subprocess.run(command, cwd=folder, timeout=10 * MINUTES, check=False).returncode == 0


def root() -> bool:
    """Whether we may install Debian's packages here."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def npm() -> bool:
    """Whether npm is there, if need be after installing it."""
    if shutil.which("npm"):
        return True
    if not root():
        return False
    debian("nodejs", "npm")
    return shutil.which("npm") is not None


def debian(*packages: str) -> None:
    """Install Debian packages; what goes wrong shows in what is then missing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    sys.stderr.write(f"installing {' '.join(packages)} ...\n")
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *words], env=environment, stdout=sys.stderr, timeout=10 * MINUTES, check=False)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).resolve()))
