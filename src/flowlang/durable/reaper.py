"""Taking over: the runs of processes that are dead go back to their queues, so that others go on with them."""

from __future__ import annotations

import json
import logging

from flowlang.durable.liveness import Watch, forget
from flowlang.durable.records import StoredRun, failure_record, run_of
from flowlang.durable.store import Store
from flowlang.exceptions import Failure

_LOG = logging.getLogger("flowlang.worker")
PARK_AFTER = 5  # workers that were lost while they ran it

# A run that somebody wants to stop goes on however often it was taken over, so that its clean-up runs.
# Their rows are locked in the order in which their owner, if it does live, locks those of a batch.
_TAKE_BACK = """WITH theirs AS MATERIALIZED (SELECT id FROM flowlang_runs WHERE owner = :dead ORDER BY id FOR UPDATE)
    UPDATE flowlang_runs SET owner = NULL, token = NULL, takeovers = takeovers + 1, due_at = {now},
        waits_for = NULL,
        state = CASE WHEN durable = 0 THEN 'lost' WHEN takeovers + 1 >= :most::int AND cancel = 0 THEN 'parked'
            ELSE 'queued' END,
        ended_at = CASE WHEN durable = 0 THEN {now} ELSE ended_at END,
        error = CASE WHEN durable = 0 THEN :lost ELSE error END,
        reason = CASE WHEN durable = 1 AND takeovers + 1 >= :most::int AND cancel = 0 THEN :reason ELSE reason END
    WHERE id IN (SELECT id FROM theirs) AND owner = :dead RETURNING *"""


async def reap(store: Store, watch: Watch, park_after: int = PARK_AFTER) -> list[StoredRun]:
    """The runs that were taken back from the processes that `watch` finds dead; one that has lost so many is parked. A
    run that was only recorded cannot go on: it is lost."""
    taken: list[StoredRun] = []
    for dead in await watch.dead():
        taken += await _reaped(store, dead, park_after)
    return taken


async def _reaped(store: Store, dead: str, park_after: int) -> list[StoredRun]:
    lost = Failure("internal", "the process that ran it was lost, and it was not durable")
    rows = await store.database.fetch(
        _TAKE_BACK, dead=dead, most=park_after, lost=json.dumps(failure_record(lost)),
        reason=f"{park_after} workers were lost while they ran it: look why, then `flowlang runs resume` it",
    )  # fmt: skip
    runs = [run_of(row) for row in rows]
    for run in runs:
        _LOG.warning("run %s of `%s` was taken from a worker that was lost: %s", run.id, run.flow, run.state)
    for topic in dict.fromkeys([f"queue:{run.queue}" for run in runs] + [f"run:{run.id}" for run in runs]):
        await store.database.notify(topic)
    await forget(store, dead)
    return runs
