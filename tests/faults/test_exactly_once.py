"""The link breaks before each answer of the database in turn: a step that is done exactly once is, by its retry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest

from .conftest import _ALL, FAULT, RETRIED, Place

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)
_SQL = [each for each in _ALL if each.id in ("postgres", "mysql")]
_ANSWERS = 6  # at least: begin, claim, answer, work, keep, commit


@pytest.mark.parametrize("service", _SQL, indirect=True)
@pytest.mark.parametrize("way", ["to_client", "to_server"])
async def test_cut_at_every_message(place: Place, way: Any) -> None:
    """Threats 31, 32: also when the answer to the commit is lost, which nobody can tell from a commit that was lost."""
    proxy = place.proxy

    def keyed(key: str) -> dict[str, Any]:
        (task, step) = next(iter(place.service.write.items()))
        return {task: {**step, "id": "w", "exactly_once": True, "idempotency_key": key, **RETRIED}}

    await place.ok(keyed("table"))
    began: list[int] = []

    def begins() -> None:
        began.extend((len(proxy.pieces), proxy.passed[way]))

    await place.ok(place.service.read, FAULT, keyed("whole"), fault=[begins])
    done = 2
    for after in _places(proxy.pieces[began[0] :], proxy.passed[way] - began[1], way):
        await place.ok(place.service.read, FAULT, keyed(f"cut {after}"), fault=[lambda at=after: proxy.cut(way, at)])
        proxy.heal()
        done += 1
    assert done >= 2 + _ANSWERS
    assert await place.writes == done


def _places(answers: Sequence[int], asked: int, way: str) -> list[int]:
    """After how many bytes the link is cut: before each answer; or here and there in what is asked."""
    if way == "to_client":
        return [0, *accumulate(answers[:-1])]
    return list(range(0, asked, max(1, asked // 12)))
