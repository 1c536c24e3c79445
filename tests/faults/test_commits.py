"""The link breaks while a transaction is committed: nobody knows, and nobody does it again by himself."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import _ALL, FAULT, RETRIED, Place, Seen

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)
_SQL = [each for each in _ALL if each.id in ("postgres", "mysql")]


@pytest.mark.parametrize("service", _SQL, indirect=True)
@pytest.mark.parametrize(("way", "kept"), [("to_client", 2), ("to_server", 1)], ids=["answer lost", "commit lost"])
async def test_a_commit_whose_end_nobody_heard(place: Place, seen: Seen, way: Any, kept: int) -> None:
    """Threats 31, 32: done or not, it looks the same from here: the outcome is unknown, and a `retry` of the block does
    not begin it again."""
    write = place.service.write
    block: dict[str, Any] = {"transaction": "service", "do": [write, FAULT], **RETRIED}
    failure = await place.failed(write, block, fault=[lambda: place.proxy.cut(way)])
    seen("commit lost" if way == "to_server" else "answer to a commit lost", failure)
    assert (failure.type, failure.retryable, failure.outcome_unknown) == ("connection_lost", True, True)
    assert await place.writes == kept
