"""What the store holds cannot be read, or the store not be written, or nothing more be opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.durable.journals import rewrite
from tests.durable.test_faults import effects, until

from flowlang import api, runs
from flowlang.durable.opening import open_store
from flowlang.durable.records import StoredStep
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError, StoreUnavailable
from flowlang.runs import flows

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLOW = """
flow: f
tasks: [effects.py]
inputs: [{name: n, type: integer}]
steps:
  - change: {id: a}
  - {id: w, wait: 10ms}
  - {id: t, set: {now: "${now()}"}}
  - {id: s, wait: {signal: go}}
  - change: {id: b, value: "${s.payload}"}
  - {id: hold, wait: 1h}
"""
STEPS = {
    "a": ("outcome", '{"st'), "w": ("outcome", "17958x"), "now": ("outcome", "2026-11-2X"), "s": ("outcome", None),
    "b": ("outcome", None),
}  # fmt: skip
ELSEWHERE = [
    ("runs", "inputs", '{"n"', "the inputs of run `.*` are damaged"),
    ("runs", "options", '{"n"', "run `.*` in the store is damaged"),
    ("flows", "texts", '{"/f', "is damaged"),
]


async def begun(store: Store, folder: Path) -> str:
    """A run that waits in its last step, and whose process has ended."""
    shutil.copy(HERE / "effects.py", folder)
    (folder / "f.yaml").write_text(FLOW)
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(folder / "f.yaml"), {"n": 1}, files_root=str(folder))
        await runs.send_signal(handle.run_id, "go", "yes", store=store)

        async def holds() -> bool:
            return any(each.path == "hold" for each in await store.steps(handle.run_id))

        await until(holds)
        return handle.run_id


def damaged(path: str, step: StoredStep, **changed: Any) -> StoredStep:
    return replace(step, **changed) if step.path == path else step


async def mend(store: Store, entries: Sequence[Mapping[str, Any]]) -> None:
    """Put the rows of the journal back as they were."""
    for each in entries:
        await store.database.execute(
            "UPDATE flowlang_journal SET entries = :entries, checksum = :sum WHERE run_id = :run AND seq = :seq",
            entries=each["entries"], sum=each["checksum"], run=each["run_id"], seq=each["seq"],
        )  # fmt: skip


async def test_a_journal_in_which_anything_has_changed(store: Store, tmp_path: Path) -> None:
    """Even what could still be read. The run stays as it is, and goes on once its journal is mended."""
    run_id = await begun(store, tmp_path)
    entries = [dict(each) for each in await store.database.fetch("SELECT * FROM flowlang_journal ORDER BY seq")]
    for each in entries:
        for at in {0, len(each["entries"]) // 2, len(each["entries"]) - 2}:
            flipped = chr(ord(each["entries"][at]) ^ 1)
            changed = each | {"entries": each["entries"][:at] + flipped + each["entries"][at + 1 :]}
            await mend(store, [changed])
            with pytest.raises(StoreError, match=f"journal of run `{run_id}` is damaged.* number {each['seq']}"):
                await runs.resume(run_id, store=store)
        await mend(store, [each])
    known = await store.run(run_id)
    assert known is not None
    assert known.state not in ENDED
    await runs.cancel(run_id, store=store)
    assert (await runs.resume(run_id, store=store)).status == "cancelled"
    assert effects(tmp_path) == ["a", "b"]


async def test_what_cannot_be_read_stops_the_run_and_nothing_is_made_up(store: Store, tmp_path: Path) -> None:
    """A step that is recorded is not done again for that; once the record is mended the run goes on."""
    run_id = await begun(store, tmp_path)
    for name, (column, damage) in STEPS.items():
        (path,) = {each.path for each in await store.steps(run_id) if each.path.split("@")[0] == name}
        entries = await store.database.fetch("SELECT * FROM flowlang_journal")
        assert await rewrite(store, run_id, partial(damaged, path, **{column: damage}))
        assert (await runs.resume(run_id, store=store)).status == "interrupted"
        known = await store.run(run_id)
        assert known is not None
        assert known.state == "parked"
        assert f"what the store holds of `{path}` cannot be read" in (known.reason or "")
        await mend(store, entries)
    for table, column, damage, said in ELSEWHERE:
        (row,) = await store.database.fetch(f"SELECT {column} AS value FROM flowlang_{table}")
        change = f"UPDATE flowlang_{table} SET {column} = :value"
        await store.database.execute(change, value=damage)
        with pytest.raises(StoreError, match=said):
            await runs.resume(run_id, store=store)
        await store.database.execute(change, value=row["value"])
    await runs.cancel(run_id, store=store)
    assert (await runs.resume(run_id, store=store)).status == "cancelled"
    assert effects(tmp_path) == ["a", "b"]


async def test_a_flow_that_is_not_the_one_of_its_hash(store: Store, tmp_path: Path) -> None:
    """One letter of it has changed in the store: it is another flow, and not run."""
    run_id = await begun(store, tmp_path)
    await store.database.execute("UPDATE flowlang_flows SET texts = replace(texts, 'id: b', 'id: c')")
    flows._PLANS.clear()
    with pytest.raises(StoreError, match="its texts are not those of its hash"):
        await runs.resume(run_id, store=store)


# ---------------------------------------------------------------- what cannot be written


def flowlang(*words: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*under, sys.executable, "-m", "flowlang", *words], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


async def test_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    """It is said, and nothing is run."""
    folder = tmp_path / "store"
    async with await open_store(f"sqlite:///{folder}/runs.db") as store:
        run_id = await begun(store, tmp_path)
    under: tuple[str, ...] = ()
    if os.geteuid() == 0:  # for whom modes mean nothing
        mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}" && exec "$@"'
        under = ("unshare", "--mount", "sh", "-c", mount, "sh")
        if subprocess.run([*under, "true"], capture_output=True, check=False).returncode:  # noqa: ASYNC221
            pytest.skip("nothing can be mounted here")
    else:
        folder.chmod(0o500)
    said = flowlang("runs", "resume", run_id, "--store", f"sqlite:///{folder}/runs.db", under=under)
    assert said.returncode != 0
    assert "cannot be written" in said.stderr
    assert "Traceback" not in said.stderr
    folder.chmod(0o700)
    assert effects(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("room", [2, 4, 6, 7])
def test_a_file_system_without_room_for_another_file(tmp_path: Path, room: int) -> None:
    """It says what could not be made, and nothing is run; with just as many as are needed it is."""
    (tmp_path / "f.yaml").write_text("flow: f\nsteps:\n  - {id: w, wait: 1ms}\n")
    (tmp_path / "small").mkdir()
    mount = f'mount -t tmpfs -o nr_inodes={room} tmpfs "{tmp_path}/small" && exec "$@"'
    under = ("unshare", "--mount", "sh", "-c", mount, "sh")
    if subprocess.run([*under, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    url = f"sqlite:///{tmp_path}/small/store/runs.db"
    said = flowlang("run", "--durable", str(tmp_path / "f.yaml"), "--store", url, under=under)
    assert (said.returncode == 0) == (room == 7), said.stderr
    assert "Traceback" not in said.stderr
    assert room == 7 or any(told in said.stderr for told in ("cannot be opened", "cannot be written", "cannot be made"))


async def test_a_database_that_may_only_be_read(postgres_url: str) -> None:
    """As one that became a replica: it may be another moment."""
    with pytest.raises(StoreUnavailable, match="read-only"):
        await open_store(f"{postgres_url}?default_transaction_read_only=on")


FEW = """
import resource, sys
from flowlang.cli.app import serve
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
sys.exit(serve(sys.argv[2:]))
"""
HOARD = '''
import os
from flowlang import task

KEPT = []

@task(effect="read")
async def hoard():
    """Opens what there is to open, and keeps it."""
    try:
        while True:
            KEPT.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return {"code": error.errno}

@task
async def let_go():
    """Which begins, and so is written down, with nothing left to open."""
    while KEPT:
        os.close(KEPT.pop())
    return {}
'''


def test_a_process_that_can_open_nothing_more(store_url: str, tmp_path: Path) -> None:
    """A run that is under way goes on to its end, and what is written down is whole."""
    shutil.copy(HERE / "effects.py", tmp_path)
    (tmp_path / "hoard.py").write_text(HOARD)
    (tmp_path / "f.yaml").write_text(
        "flow: f\ntasks: [effects.py, hoard.py]\nsteps:\n  - change: {id: a}\n  - hoard: {id: h}\n"
        "  - {id: w, wait: 10ms}\n  - let_go: {id: l}\n  - change: {id: b}\n"
    )
    words = ["run", str(tmp_path / "f.yaml"), "--durable", "--store", store_url, "--files-root", str(tmp_path)]
    said = subprocess.run(
        [sys.executable, "-c", FEW, "64", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr
    assert "Traceback" not in said.stderr
    assert effects(tmp_path) == ["a", "b"]


def test_a_process_that_can_hardly_open_anything(tmp_path: Path) -> None:
    """It says so, and does nothing."""
    (tmp_path / "f.yaml").write_text("flow: f\nsteps:\n  - log: hello\n")
    words = ["run", str(tmp_path / "f.yaml"), "--durable", "--store", f"sqlite:///{tmp_path}/runs.db"]
    said = subprocess.run(
        [sys.executable, "-c", FEW, "10", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode not in (0, 70), said.stderr
    assert "\nerror: " in f"\n{said.stderr}"
