"""The list of proofs names tests that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.threats import PROOFS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("threat", PROOFS)
def test_every_class_has_its_tests(threat: str) -> None:
    for name in PROOFS[threat]:
        assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), name


def test_the_numbers_of_the_classes_are_there_once() -> None:
    numbers = [int(each.split()[0]) for each in PROOFS]
    assert numbers == sorted(set(numbers))
