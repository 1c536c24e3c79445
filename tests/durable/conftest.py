"""Stores of a test's own, on both databases."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowlang.durable.opening import open_store
from flowlang.durable.store import Store

HERE = Path(__file__).parent
Kill = tuple[int, str]
Life = Callable[[Sequence[tuple[str, Sequence[Kill]]]], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows are laid out in a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with await open_store(store_url) as opened:
        yield opened


@pytest.fixture
def killed(store_url: str, tmp_path: Path) -> Life:
    """Runs flows, each killed at the given writes of its lives."""

    def run(wanted: Sequence[tuple[str, Sequence[Kill]]]) -> list[dict[str, Any]]:
        shutil.copy(HERE / "effects.py", tmp_path)
        lines = []
        for number, (text, kills) in enumerate(wanted):
            flow = tmp_path / f"flow-{number}.yaml"
            flow.write_text(text)
            lines.append(json.dumps({"flow": str(flow), "kills": kills}))
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        words = [sys.executable, str(HERE / "killed.py"), store_url, str(work)]
        ran = subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, timeout=1000, check=False)
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    return run
