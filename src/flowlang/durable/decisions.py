"""What somebody decides about a run that stopped: whether a step whose outcome is unknown is done again, or was done.

Decisions are written into the journal by the owner of the run, before it goes on: to do a step again its record is
taken out, as if it had not begun; one that was done gets its outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowlang.durable.database import Transaction
from flowlang.durable.records import StoredRun, StoredStep
from flowlang.durable.store import Store, owned
from flowlang.exceptions import StoreError
from flowlang.records import frozen


@frozen
class Decisions:
    """`retry`: paths of steps that are done again. `skip`: those of steps that were done, with their outputs as `codec`
    writes them, sealed if need be."""

    retry: frozenset[str] = frozenset()
    skip: Mapping[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.retry or self.skip)


def undecided(steps: Sequence[StoredStep]) -> dict[str, StoredStep]:
    """The steps of a journal that had begun and have no end, by their paths."""
    return {each.path: each for each in steps if each.state == "started"}


def refuse(decisions: Decisions, steps: Sequence[StoredStep], run_id: str) -> None:
    """Raises `StoreError` for a decision that there is nothing to decide about."""
    both = decisions.retry & decisions.skip.keys()
    if both:
        raise StoreError(f"`{min(both)}` cannot be retried and skipped at once: say which")
    open_ = undecided(steps)
    strange = (decisions.retry | decisions.skip.keys()) - open_.keys()
    if not strange:
        return
    told = ", ".join(f"`{each}`" for each in sorted(open_)) or "none"
    raise StoreError(
        f"there is nothing to decide about `{min(strange)}` in run `{run_id}`;"
        f" the steps that had begun and have no end: {told}"
    )


async def decide(store: Store, run: StoredRun, decisions: Decisions) -> None:
    """Write the decisions into the journal of a run that the caller owns. All of them, or none.

    Raises `StoreError`, and `Lost` when the run is not the caller's any more.
    """
    steps = await store.steps(run.id)
    refuse(decisions, steps, run.id)
    found = undecided(steps)
    async with store.database.transaction() as tx:
        await owned(tx, run)
        for path in decisions.retry:
            await _again(tx, run, found[path])
        for path, outputs in decisions.skip.items():
            await tx.execute(
                """UPDATE flowlang_steps SET state = 'succeeded', ended_at = {now},
                    outcome = CASE WHEN operation = 'transaction' THEN coalesce(outcome, :outcome) ELSE :outcome END
                WHERE run_id = :run AND path = :path AND nth = :nth AND state = 'started'""",
                run=run.id, path=path, nth=found[path].nth, outcome=outputs,
            )  # fmt: skip


async def _again(tx: Transaction, run: StoredRun, step: StoredStep) -> None:
    """As if it had not begun. Of a transaction the steps inside, too, which are written down just before it commits:
    those since its earlier call, in a loop, came to an end."""
    await tx.execute(
        "DELETE FROM flowlang_steps WHERE run_id = :run AND path = :path AND nth = :nth AND state = 'started'",
        run=run.id, path=step.path, nth=step.nth,
    )  # fmt: skip
    if step.operation != "transaction":
        return
    inside = step.path + "."
    await tx.execute(
        """DELETE FROM flowlang_steps WHERE run_id = :run AND substr(path, 1, length(:inside::text)) = :inside::text
            AND started_at >= coalesce((SELECT max(s.ended_at) FROM flowlang_steps s
                WHERE s.run_id = :run AND s.path = :path), 0)""",
        run=run.id, path=step.path, inside=inside,
    )  # fmt: skip
    # Times that expressions inside have read may stay: they are the same for the attempt that follows.


async def rehabilitate(store: Store, run: StoredRun) -> None:
    """Somebody vouches for a run that was parked: the deaths of its workers are not held against it any more."""
    await store.database.execute(
        "UPDATE flowlang_runs SET takeovers = 0 WHERE id = :id AND token = :token", id=run.id, token=run.token
    )
