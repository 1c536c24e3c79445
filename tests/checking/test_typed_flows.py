"""What the check says and what a run does agree: random flows over values of every type.

More of them: `typedgen.flow(seed, slips)` with other seeds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.checking import typedgen

import flowlang


def written(text: str) -> None:
    """A flow and its part, in the working directory."""
    Path("part.yaml").write_text(typedgen.PART, encoding="utf-8")
    Path("flow.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("first", range(0, 200, 25))
async def test_a_valid_flow_has_no_finding_and_runs(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No false alarm, not even a warning, on expressions that have the type that their place wants."""
    monkeypatch.chdir(tmp_path)
    for seed in range(first, first + 25):
        text = typedgen.flow(seed)
        written(text)
        assert flowlang.check("flow.yaml").findings == [], text
        result = await flowlang.run(flowlang.load("flow.yaml"), typedgen.VALUES)
        assert result.status == "succeeded", (result.failure, text)


@pytest.mark.parametrize("first", range(1000, 1200, 25))
async def test_what_checks_clean_has_no_error_of_types(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a part has another type than its place wants, the check sees it: what it lets pass runs to its end."""
    monkeypatch.chdir(tmp_path)
    clean = refused = 0
    for seed in range(first, first + 25):
        text = typedgen.flow(seed, slips=0.05)
        written(text)
        if flowlang.check("flow.yaml").plan is None:
            refused += 1
            continue
        clean += 1
        result = await flowlang.run(flowlang.load("flow.yaml"), typedgen.VALUES)
        assert result.status == "succeeded", (result.failure, text)
    assert clean
    assert refused
