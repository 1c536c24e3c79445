"""One run with everything that is known of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowlang.durable.log import DamagedLog
from flowlang.durable.places import static
from flowlang.durable.records import DAMAGES, StoredFlow, StoredRun, StoredStep
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.history.listing import find, run_record, seen_state
from flowlang.history.times import instant
from flowlang.history.told import UNREADABLE, Lives, Told, parsed
from flowlang.history.tree import Node, Places, tree
from flowlang.history.values import Damages, shown
from flowlang.records import frozen

Plans = Callable[[StoredFlow], Places]
"""From a flow to the steps of its plan; none when the plan cannot be made here."""


@frozen
class Signal:
    """A signal that was sent. `taken_by`: the step that got it, None while it waits for one."""

    name: str
    payload: Any
    sent_at: float
    taken_by: str | None


@frozen
class Story:
    """`undecided`: the steps of which nobody knows whether they were done, by their paths. `lives`: how often a process
    began to run it, at `begun`. `texts`: the files of the flow as the run has them. `damages`: what cannot be read, and
    is left out; where the journal is not `whole`, that is all that it says from there on."""

    run: StoredRun
    state: str
    steps: tuple[Node, ...]
    signals: tuple[Signal, ...]
    inputs: Any
    outputs: Any
    undecided: tuple[str, ...]
    begun: tuple[float, ...]
    file: str | None
    texts: Mapping[str, str]
    runs_from: tuple[str, ...] = ()
    damages: tuple[str, ...] = ()
    whole: bool = True

    @property
    def over(self) -> bool:
        """Whether it can never go on."""
        return self.run.state in ENDED

    def to_record(self) -> dict[str, Any]:
        return run_record(self.run, self.state) | {
            "file": self.file, "inputs": self.inputs, "outputs": self.outputs,
            "begun": [instant(each) for each in self.begun], "undecided": list(self.undecided),
            "retried_as": list(self.runs_from), "damages": list(self.damages),
            "signals": [
                {
                    "name": each.name, "payload": each.payload, "sent_at": instant(each.sent_at),
                    "taken_by": each.taken_by,
                }
                for each in self.signals
            ],
            "steps": [each.to_record() for each in self.steps],
        }  # fmt: skip


async def story(store: Store, start: str, plans: Plans) -> Story:
    """What is known of the run whose id begins with `start`. Raises `StoreError`."""
    run, damages = await find(store, start, shown=True), Damages()
    if run.reason is not None and run.reason in DAMAGES.values():
        damages.append(run.reason)
    state = await seen_state(store, run)
    told = await told_by(store, run.id)
    journal, whole = await _journal(store, run.id, damages)
    flow = await _flow(store, run)
    live = run.state not in ENDED and state == run.state and run.owner is not None
    places = plans(flow) if flow is not None else {}
    steps = tree(told, journal, places, damages, live=live or run.state == "waiting", whole=whole)
    signals = await _signals(store, run.id, damages)
    inputs, outputs = shown(run.inputs, "its inputs", damages), shown(run.outputs, "its outputs", damages)
    lost = sum(each["event"] == UNREADABLE for each in told)
    if lost:
        damages.append(f"{lost} of the lines that it told")
    return Story(
        run, state, tuple(steps), tuple(signals), inputs, outputs,
        () if live or run.state in ENDED or not whole else _undecided(journal, places),
        tuple(each["at"] for each in told if each["event"] == "run_started"),
        flow.file if flow is not None else None, flow.texts if flow is not None else {},
        tuple(await _retried(store, run.id)), tuple(damages), whole,
    )  # fmt: skip


async def _journal(store: Store, run_id: str, damages: Damages) -> tuple[Sequence[StoredStep], bool]:
    """What the journal says of steps, up to where it is damaged, and whether it is whole."""
    try:
        return await store.steps(run_id), True
    except DamagedLog as error:
        damages.append(f"its journal from commit {error.seq} on")
        return list(error.known.values()), False


def _undecided(journal: Sequence[StoredStep], places: Places) -> tuple[str, ...]:
    """The steps that had begun, of those that are not simply done again."""
    begun = sorted((each.started_at, each.path) for each in journal if each.state == "started")
    return tuple(path for _, path in begun if not getattr(places.get(static(path)), "rerun", False))


async def told_by(store: Store, run_id: str) -> list[Told]:
    """The events of a run, each once."""
    lives = Lives()
    return [each for _, chunk in await store.events(run_id) for each in lives.fresh(parsed(chunk, run_id))]


async def _flow(store: Store, run: StoredRun) -> StoredFlow | None:
    try:
        return await store.flow(run.hash)
    except StoreError:
        return None  # its text is gone; the run is still worth being told


async def _signals(store: Store, run_id: str, damages: Damages) -> list[Signal]:
    rows = await store.database.fetch("SELECT * FROM flowlang_signals WHERE run_id = :run ORDER BY id", run=run_id)
    return [
        Signal(row["name"], shown(row["payload"], f"the payload of signal `{row['name']}`", damages), row["sent_at"],
               row["taken_by"])
        for row in rows
    ]  # fmt: skip


async def _retried(store: Store, run_id: str) -> list[str]:
    rows = await store.database.fetch(
        "SELECT id FROM flowlang_runs WHERE origin = :run ORDER BY created_at, id", run=run_id
    )
    return [row["id"] for row in rows]


async def sources(store: Store, run: StoredRun) -> dict[str, str]:
    """The text of the file that the failure of a run is in, by the name that the failure has for it."""
    file = run.error.file if run.error is not None else None
    flow = await _flow(store, run) if file is not None else None
    text = source_of(flow.texts, file) if flow is not None and file is not None else None
    return {file: text} if file is not None and text is not None else {}


def source_of(texts: Mapping[str, str], file: str) -> str | None:
    """The text of `file`, named as a run named it: by a path of its own, or where its flow was laid out."""
    parts = os.path.normpath(file).replace(os.sep, "/").split("/")
    best: tuple[int, str] | None = None
    for path, text in texts.items():
        theirs = path.replace(os.sep, "/").split("/")
        common = next((n for n, (a, b) in enumerate(zip(reversed(parts), reversed(theirs))) if a != b), len(parts))
        if common and (best is None or common > best[0]):
            best = (common, text)
    return best[1] if best is not None else None


__all__ = ["Plans", "Signal", "Story", "source_of", "sources", "story", "told_by"]
