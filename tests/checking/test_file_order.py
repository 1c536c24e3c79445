"""What a check says does not depend on the order in which a file system lists its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang import api

FLOW = """
flow: f
tasks: [x-Y.py]
steps:
  - {id: a, subflow: a-B.yaml}
"""


def test_a_suggestion_between_files_that_are_as_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a-b.yaml", "a_b.yaml", "x-y.py", "x_y.py"):
        (tmp_path / name).touch()
    flow = tmp_path / "flow.yaml"
    flow.write_text(FLOW)
    listdir: Callable[..., list[Any]] = os.listdir
    said = []
    for backwards in (False, True):
        monkeypatch.setattr(os, "listdir", lambda *path: sorted(listdir(*path), reverse=backwards))  # noqa: B023
        said.append([each.suggestion for each in api.check(flow).findings if "did you" in (each.suggestion or "")])
    assert said[0] == said[1]
    assert len(said[0]) == 2
