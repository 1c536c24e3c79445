"""The journal of a run changed behind everybody's back, as a defect or a hand in the store might."""

from __future__ import annotations

from collections.abc import Callable

from flowlang.durable.log import _decode, commits
from flowlang.durable.records import StoredStep
from flowlang.durable.store import Store

Change = Callable[[StoredStep], StoredStep | None]


async def rewrite(store: Store, run_id: str, change: Change) -> int:
    """Put what `change` makes of each entry in its place, None for nothing. How many have changed."""
    changed = 0
    for row in await store.database.fetch("SELECT * FROM flowlang_journal WHERE run_id = :run", run=run_id):
        before = _decode(row["entries"])
        after = [(each, change(each)) for each in before]
        changed += sum(old != new for old, new in after)
        (kept,) = commits(row["seq"], [new for _, new in after if new is not None])
        await store.database.execute(
            "UPDATE flowlang_journal SET entries = :entries, checksum = :sum WHERE run_id = :run AND seq = :seq",
            entries=kept.entries, sum=kept.checksum, run=run_id, seq=kept.seq,
        )  # fmt: skip
    return changed
