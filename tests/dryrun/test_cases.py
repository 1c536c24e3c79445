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


MANY = """
flow: many
steps:
  - for_each: ${range(200)}
    do:
      - for_each: ${range(200)}
        do: [{log: "turn ${item}"}]
        as: inner
  - log: behind it
"""


def test_a_story_without_end_is_cut_short_and_still_told_to_its_end() -> None:
    """However many turns are asked for: past some 20,000 entries each loop is told by its first turn alone."""
    told = dry_run_text(api.plan(text=MANY, env={}, turns=10**9))
    assert 20_000 < told.count("turn ") < 25_000
    assert told.count("behind it") == 1
