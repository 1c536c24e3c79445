"""Installs what the tests need beside Python packages, once: `make tools`, which `make test` calls by itself.

    python -m tests.tools.setup STAMP

The npm packages of `package.json` go into the folder of the file STAMP, which is written when all is there. Where there
is no npm it is installed from Debian's packages, by root; elsewhere this says what to do, and the tests that need it
are skipped with that reason. In CI it is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = Path(__file__).parent / "package.json"
HOW = "install Node.js with npm (Debian and Ubuntu: apt install nodejs npm), then: make tools"
MINUTES = 60  # seconds in one


def main(stamp: Path) -> int:
    folder = stamp.parent
    folder.mkdir(parents=True, exist_ok=True)
    if not npm():
        sys.stderr.write(f"npm was not found, so some tests will be skipped; {HOW}\n")
        return 1 if os.environ.get("CI") else 0
    shutil.copy(WANTED, folder / "package.json")
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    code = subprocess.run(command, cwd=folder, timeout=10 * MINUTES, check=False).returncode
    if code == 0:
        stamp.touch()
    return code


def npm() -> bool:
    """Whether npm is there, if need be after installing it."""
    if shutil.which("npm"):
        return True
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")):
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
