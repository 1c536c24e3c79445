"""The double: a LineKV server, its driver on the path, and the plugin's config and operations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "site"))  # the driver, as an installed distribution

from tests.conformance.double.server import LineKV, serving


@pytest.fixture(scope="session")
def linekv_server() -> Iterator[LineKV]:
    with serving() as server:
        yield server


@pytest.fixture
def linekv(linekv_server: LineKV) -> LineKV:
    """The server, empty."""
    linekv_server.spaces.clear()
    return linekv_server
