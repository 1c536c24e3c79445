"""What somebody decides about a run that stopped: whether a step whose outcome is unknown is done again, or was done.

Decisions are written into the journal by the owner of the run, before it goes on: to do a step again its record is
taken out, as if it had not begun; one that was done gets its outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from flowlang.durable.database import Transaction
from flowlang.durable.log import commits
from flowlang.durable.ownership import append, owned
from flowlang.durable.records import StoredRun, StoredStep
from flowlang.durable.store import Store
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
    known = await store.journal(run.id)
    refuse(decisions, known.steps, run.id)
    found, entries = undecided(known.steps), []
    for path in decisions.retry:
        entries += [replace(each, state="withdrawn") for each in _again(known.steps, found[path])]
    for path, outputs in decisions.skip.items():
        step, now = found[path], store.time()
        kept = step.outcome if step.operation == "transaction" and step.outcome is not None else outputs
        entries.append(replace(step, state="succeeded", outcome=kept, ended_at=now))

    async def write(tx: Transaction) -> None:
        await owned(tx, run)
        await append(tx, run, commits(known.commits, entries))

    await store.database.transact(write)


def _again(steps: Sequence[StoredStep], step: StoredStep) -> Iterator[StoredStep]:
    """What is to be as if it had not been done: the step; and of a transaction the steps inside, too, which are written
    down just before it commits: those since its earlier call, in a loop, came to an end. Times that expressions inside
    have read are the same for the attempt that follows."""
    yield step
    if step.operation == "transaction":
        ends = [each.ended_at for each in steps if each.path == step.path and each.ended_at is not None]
        last = max(ends, default=0.0)
        yield from (each for each in steps if each.path.startswith(f"{step.path}.") and each.started_at >= last)


async def rehabilitate(store: Store, run: StoredRun) -> None:
    """Somebody vouches for a run that was parked: the deaths of its workers are not held against it any more."""
    await store.database.execute(
        "UPDATE flowlang_runs SET takeovers = 0 WHERE id = :id AND token = :token", id=run.id, token=run.token
    )
