"""Dry runs as people read them: each flow of `cases/` and the story that is told of it.

`WRITE_CASES=1` writes the `.out` files anew, to be read before they are committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowlang import api
from flowlang.exceptions import InvalidFlowError
from flowlang.views.dryrun import dry_run_text
from flowlang.views.findings import findings_text

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_the_story_is_as_it_was_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    try:
        told = dry_run_text(api.plan(f"{name}.yaml", {}, env={})) + "\n"
    except InvalidFlowError as error:
        pytest.fail(findings_text(error.findings, {}, colour=False))
    path = CASES / f"{name}.out"
    if os.environ.get("WRITE_CASES"):
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")
