"""What the store holds, as records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from flowlang.durable.database import Row
from flowlang.exceptions import Failure, StoreError
from flowlang.records import frozen


@frozen
class StoredFlow:
    """A flow and all texts it reaches, by their paths. `hash` is that of all of them; it never changes."""

    hash: str
    name: str
    file: str
    texts: Mapping[str, str]


@frozen
class StoredRun:
    """A run. Times are seconds since the epoch. `token` changes with its owner: whoever has an older one has lost it.

    `inputs`, `outputs`: as `codec` writes them, or sealed (see `sealing`). `options`: what it was started with.
    `origin`: the run whose steps it may reuse. `gate`: the `concurrency` that it counts for.
    """

    id: str
    flow: str
    hash: str
    state: str
    durable: bool
    queue: str
    priority: int
    dedup: str | None
    due_at: float
    created_at: float
    started_at: float | None
    ended_at: float | None
    owner: str | None
    token: str | None
    takeovers: int
    attempt: int
    cancel: bool
    waits_for: str | None
    gate: str | None
    inputs: str
    options: Mapping[str, Any]
    started_by: str
    origin: str | None
    outputs: str | None
    error: Failure | None
    reason: str | None


DAMAGES = {name: f"damaged: its {name} cannot be read" for name in ("options", "error")}
"""Of the row of a run: what is its reason then, where it is shown."""


def run_of(row: Row, *, shown: bool = False) -> StoredRun:
    """Raises `StoreError` for one that is damaged. One that is only `shown` is there without what cannot be read, and
    says so as its reason."""
    values = {name: row[name] for name in StoredRun.__dataclass_fields__}
    values["durable"], values["cancel"] = bool(row["durable"]), bool(row["cancel"])
    for name, read in (("options", json.loads), ("error", _error)):
        try:
            values[name] = read(row[name])
        except (ValueError, TypeError, AttributeError) as error:
            if not shown:
                raise StoreError(f"the row of run `{row['id']}` in the store is {DAMAGES[name]}") from error
            values |= {name: {} if name == "options" else None, "reason": DAMAGES[name]}
    return StoredRun(**values)


def _error(text: str | None) -> Failure | None:
    return failure_of(json.loads(text)) if text else None


Place = tuple[str, int]
"""Which call of which path."""


def key(path: str, nth: int) -> str:
    """A place as a text: of nearly all that is the path itself."""
    return f"{path}#{nth}" if nth else path


State = Literal["started", "succeeded", "failed", "cancelled", "withdrawn"]
"""Of a call: `withdrawn` is one that is to be as if it had not been made."""


class Recorded(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a run that goes on has to know of a call: `started`, then `succeeded` with its outputs or `failed` with a
    failure; `cancelled` where the run itself stopped it.

    An array in JSON, of which the rest is passed over: there are thousands. It refers to nothing but texts and numbers,
    so that the collector need not look at them."""

    path: str
    nth: int
    state: State
    outcome: str | None


class StoredStep(Recorded, array_like=True, frozen=True, gc=False):
    """One call of an operation, with what the history tells of it. Also what a run has read from outside: times,
    signals."""

    operation: str
    inputs: str | None
    started_at: float
    ended_at: float | None


class Damaged(Exception):
    """What is recorded of a step cannot be read."""


def failure_record(failure: Failure) -> dict[str, Any]:
    """A failure as JSON; `failure_of` reads it."""
    values = {name: getattr(failure, name) for name in Failure.__dataclass_fields__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}


def failure_of(record: Mapping[str, Any]) -> Failure:
    """The failure that `failure_record` wrote; fields of a later version are left out."""
    known: dict[str, Any] = {name: value for name, value in record.items() if name in Failure.__dataclass_fields__}
    values: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    return Failure(**values)
