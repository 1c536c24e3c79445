"""Fixes of findings: each one that is called safe removes its finding and makes no new one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.checking.test_cases import CASES, REGISTRY, checked, name

import flowlang
from flowlang.mending import apply


@pytest.mark.parametrize("path", CASES, ids=name)
def test_a_fix_removes_its_finding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A safe fix, taken alone: one finding of its code less, and no error of a kind that was not there."""
    found = checked(path, monkeypatch).findings
    text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    for each in found:
        if each.fix is None or not each.fix.safe or each.span.file != path.name:
            continue
        changed, done = apply(text, [each])
        assert done == [each]
        left = flowlang.check(text=changed, file=path.name, registry=REGISTRY).findings
        assert (each.code, each.message) not in [(one.code, one.message) for one in left]
        assert {one.code for one in left if one.severity == "error"} <= {one.code for one in found}
