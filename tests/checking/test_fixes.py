"""Fixes of findings: each one, applied alone, removes its finding and brings no error of another kind.

The corpus is that of the check and that of the reader. What `explain` says of a kind of finding (whether
`check --fix` mends it) is held against the fixes that are seen here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.checking.test_cases import CASES, REGISTRY, name
from tests.document.test_cases import CASES as FILES

import flowlang
from flowlang.cli.explain import codes
from flowlang.diagnostics import Diagnostic
from flowlang.document.parse import parse_flow
from flowlang.mending import apply

# What a fix may bring to light, by the case and the kind of finding that is mended.
UNCOVERED = {
    "the parameters of a task are looked at once the task is known": {
        ("design/unknown-task", "unknown-task"),
        ("design/bad-indentation", "bad-indentation"),
        ("unknown-task/typo-of-a-plugin-task", "unknown-task"),
    },
    "what is read is looked at once it is known what there is to read": {
        ("subflow-not-found/typo", "subflow-not-found"),
        ("unknown-name/roots", "unknown-name"),
        ("unknown-output/inside-a-row-type", "unknown-output"),
        ("unknown-selected-output/typo", "unknown-selected-output"),
    },
    "the settings of a connection are looked at once its type is known": {
        ("unknown-connection-type/typo", "unknown-connection-type")
    },
    "the file that was meant is listed already": {("task-file/missing-broken-empty", "task-file")},
    "the keys of a text are looked at once it is YAML": {
        ("cases/bad-indentation", "bad-indentation"),
        ("cases/list-item-without-dash", "bad-indentation"),
        ("cases/tab-after-text", "tab-indentation"),
    },
}
EXPECTED = {each for cases in UNCOVERED.values() for each in cases}


def findings(path: Path, text: str | None = None) -> Sequence[Diagnostic]:
    """All that is found in a case, hints too; in `text` when it stands in place of the file."""
    if path in FILES:
        return parse_flow(path.read_bytes() if text is None else text, path.name)[1]
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        source = path.read_bytes() if text is None else text
        found = flowlang.check(text=source, file=path.name, registry=REGISTRY)
        return [*found.findings, *found.hints]
    finally:
        os.chdir(before)


def kinds(found: Sequence[Diagnostic]) -> Counter[tuple[str, str]]:
    return Counter((each.code, each.message) for each in found)


@pytest.mark.parametrize("path", [*CASES, *FILES], ids=name)
def test_a_fix_removes_its_finding(path: Path) -> None:
    """Safe or not, taken alone: one finding like it less, and no error of a kind that was not there. A safe fix brings
    nothing to light either."""
    found = findings(path)
    text = path.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff")
    brought = set()
    for each in found:
        if each.fix is None:
            continue
        assert {edit.span.file for edit in each.fix.edits} == {path.name}
        changed, done = apply(text, [each])
        assert done == [each]
        left = findings(path, changed)
        assert kinds(left)[each.code, each.message] < kinds(found)[each.code, each.message]
        if {one.code for one in left if one.severity == "error"} - {one.code for one in found}:
            assert not each.fix.safe
            brought.add((name(path), each.code))
    assert brought == {each for each in EXPECTED if each[0] == name(path)}


def test_explain_says_what_is_mended() -> None:
    """`fix` of each kind of finding is what is seen of it: certain when one of its fixes is safe, a guess when there
    are only others, and nothing when there is none."""
    seen = dict.fromkeys(codes(), "")
    for path in (*CASES, *FILES):
        for each in findings(path):
            if each.fix is not None and seen[each.code] != "certain":
                seen[each.code] = "certain" if each.fix.safe else "guess"
    assert {name: each.fix for name, each in codes().items()} == seen
