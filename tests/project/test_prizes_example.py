"""The example over four services: it fills PostgreSQL, MongoDB and Redis from a service, and may run again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def service() -> Iterator[str]:
    """The address of the service that the example comes with."""
    words = [sys.executable, "examples/prizes/serve.py", "0"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def outputs(addresses: dict[str, str], *inputs: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "flowlang", "run", "examples/prizes/prizes.yaml", "--json"]
    done = subprocess.run(
        [*words, *(word for each in inputs for word in ("-i", each))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **addresses},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["outputs"]
    assert isinstance(found, dict)
    return found


async def test_four_services_share_the_work(service: str, postgres_url: str, mongodb_url: str, redis_url: str) -> None:
    addresses = {
        "PRIZES_URL": service,
        "POSTGRES_URL": postgres_url,
        "MONGODB_URL": mongodb_url,
        "MONGODB_DATABASE": mongodb_url.rpartition("/")[2].partition("?")[0],
        "REDIS_URL": redis_url,
    }
    first = outputs(addresses)
    assert (first["stored"], first["decades"]) == (424, 13)
    assert first["leading_birthplaces"][:2] == [
        {"member": "United States", "score": 132},
        {"member": "United Kingdom", "score": 54},
    ]
    assert len(first["leading_birthplaces"]) == 5
    assert outputs(addresses, "top=1")["leading_birthplaces"] == first["leading_birthplaces"][:1]

    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM laureates") == 424
    finally:
        await connection.close()
