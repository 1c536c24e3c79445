"""The page on faults names tests that there are."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

PAGE = ROOT / "docs/faults.md"


def test_each_promise_names_a_test_that_there_is() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+\.py)::(test_\w+)`", row) for row in rows]
    for row, tests in zip(rows, named, strict=True):
        assert tests or "the same test" in row, f"nothing shows that this is so: {row}"
    missing = {
        f"{file}::{name}"
        for tests in named
        for file, name in tests
        if f"def {name}(" not in (ROOT / "tests/durable" / file).read_text(encoding="utf-8")
    }
    assert not missing
