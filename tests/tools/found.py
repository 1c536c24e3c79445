"""Where the programs and data of `setup` are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("TEST_TOOLS", Path(sys.prefix) / "tools"))


def npm_package(name: str) -> Path:
    """The folder of an npm package of `package.json`. Without it the test is skipped; in CI it fails."""
    path = FOLDER / "node_modules" / name
    if path.is_dir():
        return path
    reason = f"the npm package {name} is not installed: run `make tools` (needs Node.js with npm)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
