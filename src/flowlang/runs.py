"""Runs that are kept: begun with a journal, resumed after whatever happened to their process, asked to stop, signalled.

    result = await flowlang.runs.run("orders.yaml", {"day": "2026-11-23"}, store="sqlite:///runs.db")
    result = await flowlang.runs.resume(run_id, store="sqlite:///runs.db")

`store`: a `Store` that is open, or an address; without one that of `FLOWLANG_STORE`, else a file in the user's data
folder.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from flowlang import secretstore
from flowlang.api import Flow, InvalidFlowError, RunHandle, invalid, load, read_text, refused_secrets, start, still
from flowlang.checking.checker import Checked
from flowlang.checking.flows import check_text
from flowlang.connections import plugin_registry
from flowlang.diagnostics import Diagnostic, code
from flowlang.durable import retention
from flowlang.durable.codec import encode
from flowlang.durable.decisions import Decisions, decide, refuse, rehabilitate
from flowlang.durable.execution import Outcome, inputs_of
from flowlang.durable.flows import laid_out, stored
from flowlang.durable.host import Host, hosting
from flowlang.durable.liveness import gone
from flowlang.durable.places import places, secret_calls
from flowlang.durable.recorder import Recorder
from flowlang.durable.records import StoredFlow, StoredRun
from flowlang.durable.retention import Pruned, Retention
from flowlang.durable.run import DurableRun, Left
from flowlang.durable.schema import ENDED
from flowlang.durable.sealing import VARIABLE as KEY
from flowlang.durable.sealing import NoKey
from flowlang.durable.store import Store, data_folder, open_store
from flowlang.engine.inputs import accept
from flowlang.engine.result import RunResult
from flowlang.events import Sink
from flowlang.exceptions import Failure, StoreError
from flowlang.history.listing import find
from flowlang.history.tree import shown, static
from flowlang.masking import MASK, Masker
from flowlang.plan import Call, Plan, Step

NO_KEY = code(
    "no-store-key",
    """A durable run would have to keep something secret, and there is no key to encrypt it with.

What a durable run is given, and what its steps return, is kept in its store, so that it can go on after a crash. An
input with `secret: true`, and outputs that a secret flowed into, are kept encrypted with `FLOWLANG_STORE_KEY`; without
that variable such a run is refused. `flowlang runs key` makes a key.

A secret that is read as `${secrets.NAME}` needs no key: it is never stored, and looked up again when a run goes on.
""",
)


# ---------------------------------------------------------------- stores and flows


@asynccontextmanager
async def opened(store: Store | str | None) -> AsyncIterator[Store]:
    """`store` itself, or the one at that address, closed at the end. Raises `StoreError`."""
    if isinstance(store, Store):
        yield store
        return
    async with await open_store(store) as own:
        yield own


_CAPTURED: dict[tuple[str, str], tuple[dict[str, str], StoredFlow]] = {}
_PLANS: dict[tuple[str, object], Plan] = {}
_MOST = 256  # of each


def captured(checked: Checked) -> StoredFlow:
    """The flow with all texts that it reaches, as runs keep it. Which those are is found by checking it, once as long
    as they stay the same."""
    assert checked.text is not None
    assert checked.file is not None
    text = checked.text if isinstance(checked.text, str) else checked.text.decode("utf-8-sig")
    entry = os.path.abspath(checked.file)
    reached, flow = _CAPTURED.get((entry, text), ({}, None))
    if flow is not None and all(still(*each) for each in reached.items()):
        return flow
    reached = {}

    def read(path: str) -> str:
        reached[os.path.realpath(path)] = found = read_text(path)
        return found

    check_text(text, checked.file, registry=plugin_registry, read=read)
    flow = stored(checked.name or "", checked.file, {entry: text, **reached})
    while len(_CAPTURED) >= _MOST:
        del _CAPTURED[next(iter(_CAPTURED))]
    _CAPTURED[entry, text] = reached, flow
    return flow


def plan_of(flow: StoredFlow) -> Plan:
    """The plan of a stored flow. Raises `InvalidFlowError` when it does not pass the check here: a plugin is missing,
    or is of another version; `StoreError` when it is damaged."""
    entry = laid_out(flow, os.path.join(data_folder(), "flows"))  # again, where somebody has cleared it away
    key = (flow.hash, plugin_registry.fingerprint())
    known = _PLANS.get(key)
    if known is not None:
        return known
    if stored(flow.name, flow.file, flow.texts).hash != flow.hash:
        raise StoreError(f"the flow {flow.hash[:12]} in the store is damaged: its texts are not those of its hash")
    checked = check_text(flow.texts[flow.file], flow.file, path=entry, registry=plugin_registry, read=read_text)
    if checked.plan is None:
        first = next(each for each in checked.findings if each.severity == "error")
        raise InvalidFlowError(f"{first.span}: {first.message}", checked.findings)
    while len(_PLANS) >= _MOST:
        del _PLANS[next(iter(_PLANS))]
    _PLANS[key] = checked.plan
    return checked.plan


def steps_of(flow: StoredFlow) -> dict[str, Step]:
    """The steps of a stored flow by their paths, with `[*]` for turns. Empty where its plan cannot be made: a run can
    be told of without its plugins."""
    try:
        return dict(places(plan_of(flow)))
    except (InvalidFlowError, StoreError):
        return {}


def unkept(plan: Plan, given: Mapping[str, Any], store: Store) -> list[Diagnostic]:
    """What a durable run would have to keep of secrets, without a key to do so."""
    if store.sealer.ready:
        return []
    help_ = f"make a key with `flowlang runs key` and set {KEY}, or read it as ${{secrets.NAME}}, which is not kept"
    findings = [
        Diagnostic(
            NO_KEY, f"input `{each.name}` is secret, and a durable run keeps its inputs", each.span, suggestion=help_
        )
        for each in plan.inputs
        if each.secret and each.name in given
    ]
    for call in secret_calls(plan):
        message = f"the outputs of `{call.site.path}` hold a secret, and a durable run keeps them"
        findings.append(Diagnostic(NO_KEY, message, _span(call), suggestion=help_))
    return findings


def _span(call: Call) -> Any:
    from flowlang.diagnostics import Position, Span

    start = Position(call.site.line, call.site.column)
    return Span(start, start, call.site.file)


# ---------------------------------------------------------------- begin and resume


async def begin(
    host: Host,
    flow: Flow,
    inputs: Mapping[str, Any] | None = None,
    *,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sequence[Sink] = (),
    files_root: str | None = None,
    secrets_file: str | None = None,
    run_id: str | None = None,
    trace_parent: str | None = None,
    trace_state: str | None = None,
) -> RunHandle:
    """Begin a durable run in this process. Raises `InvalidFlowError` for inputs, secrets and config that are refused,
    before anything is stored."""
    plan, given = flow.plan, dict(inputs or {})
    environment = os.environ if env is None else env
    values, findings = accept(plan, given)
    known, missing = refused_secrets(plan, dict(secrets or {}), environment)
    findings = [*findings, *missing, *unkept(plan, given, host.store)]
    if findings:
        raise InvalidFlowError("the run is refused", findings)
    options = {
        "files_root": _absolute(files_root or "."), "secrets_file": _absolute(secrets_file),
        "trace_parent": trace_parent, "trace_state": trace_state,
    }  # fmt: skip
    record = await host.store.add(
        captured(flow.checked), _inputs_text(plan, given, host.store), options, owner=host.executor.id, run_id=run_id
    )
    run = await host.prepare(
        record, plan, accept=lambda *_: values, env=environment, secrets=known, sinks=on_event, begins=True
    )  # fmt: skip
    return handle_of(host, run)


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)


def _inputs_text(plan: Plan, given: Mapping[str, Any], store: Store) -> str:
    text = encode(dict(given))
    return store.sealer.seal(text) if any(each.secret and each.name in given for each in plan.inputs) else text


async def again(
    host: Host,
    record: StoredRun,
    *,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sequence[Sink] = (),
    leaves: bool = False,
) -> DurableRun:
    """The next life of a run that `host` owns. Raises `InvalidFlowError`, `StoreError`."""
    plan = plan_of(await host.store.flow(record.hash))
    environment = os.environ if env is None else env
    known, missing = _secrets(record, plan, secrets or {}, environment)
    if missing:
        raise InvalidFlowError(missing[0].message, missing)
    return await host.prepare(
        record, plan, accept=_accepted, env=environment, secrets=known, sinks=on_event, leaves=leaves
    )


def _secrets(
    record: StoredRun, plan: Plan, secrets: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[Mapping[str, str], list[Diagnostic]]:
    """The secrets that a run reads, found where it found them before, and what is missing of them."""
    given = dict(secrets)
    file = record.options.get("secrets_file")
    if file:
        try:
            given = {**secretstore.read_file(file), **given}
        except (OSError, ValueError) as error:
            raise StoreError(f"the secrets of run `{record.id}` cannot be read: {error}") from error
    return refused_secrets(plan, given, environment)


def _accepted(plan: Plan, given: Mapping[str, Any]) -> Mapping[str, Any]:
    values, findings = accept(plan, given)
    if findings:
        raise InvalidFlowError(findings[0].message, findings)
    return values


def handle_of(host: Host, run: DurableRun) -> RunHandle:
    """Begin it, and something to wait for."""
    return RunHandle(run, asyncio.ensure_future(_told(run, host.start(run))))


async def _told(run: DurableRun, task: asyncio.Task[Outcome]) -> RunResult:
    outcome = await task
    return outcome if isinstance(outcome, RunResult) else left_result(run.record, outcome, run)


STATUS = {"attention": "needs_attention", "waiting": "waiting"}


def left_result(record: StoredRun, left: Left, run: DurableRun | None = None) -> RunResult:
    """A run that left this process before its end, as a result."""
    status = STATUS.get(left.why, "interrupted")
    notes = (f"it goes on with `flowlang runs resume {record.id}`",)
    if left.why == "attention":
        notes = (
            f"look at the service, then `flowlang runs resume {record.id} --retry {left.path}`"
            f" or `--skip {left.path} --outputs JSON`",
        )
    failure = Failure(
        "internal" if left.why != "store" else "unavailable", left.detail or left.why, flow=record.flow, step=left.path,
        outcome_unknown=left.why == "attention", notes=notes,
    )  # fmt: skip
    return RunResult(record.id, record.flow, status, {}, failure, masker=run.masker if run is not None else None)


def result_of(record: StoredRun, state: str) -> RunResult:
    """A stored run as a result; its outputs where they are no secret. `state`: as the history tells it."""
    from datetime import UTC, datetime

    outputs = shown(record.outputs)
    began = record.started_at
    return RunResult(
        record.id, record.flow, state, outputs if isinstance(outputs, dict) else {}, record.error, record.reason,
        started_at=datetime.fromtimestamp(began, UTC) if began is not None else None,
        duration=record.ended_at - began if began is not None and record.ended_at is not None else 0.0,
    )  # fmt: skip


async def run(
    flow: Flow | str | os.PathLike[str],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | None = None,
    **options: Any,
) -> RunResult:
    """As `flowlang.run`, with a journal: a run whose process dies goes on with `resume`. Raises `StoreError`."""
    try:
        loaded = flow if isinstance(flow, Flow) else load(flow)
        async with opened(store) as own, hosting(own) as host:
            return await (await begin(host, loaded, inputs, **options))
    except InvalidFlowError as error:
        return invalid(error.findings, flow.name if isinstance(flow, Flow) else None)


async def retried(
    host: Host,
    run_id: str,
    flow: Flow | None = None,
    *,
    start: str | None = None,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sequence[Sink] = (),
) -> DurableRun:
    """A new run with the inputs of one that is over, which takes over what of that one's steps it may. `flow`: as it is
    now; by default the file that the run came from. `start`: the step from which on all is done again.

    Raises `StoreError`, `InvalidFlowError`.
    """
    store, environment = host.store, os.environ if env is None else env
    old = await find(store, run_id)
    if old.state not in ENDED:
        raise StoreError(
            f"run `{old.id}` has not ended: it is {old.state}; `flowlang runs resume {old.id}` is for that"
        )
    if not old.durable:
        raise StoreError(f"run `{old.id}` was in memory, and only recorded: there is nothing of it to take over")
    loaded = flow or load((await store.flow(old.hash)).file)
    if start is not None and static(start) not in dict(places(loaded.plan)):
        raise StoreError(f"there is no step `{start}` in the flow `{loaded.name}`: `flowlang runs show` has the paths")
    known, missing = _secrets(old, loaded.plan, secrets or {}, environment)
    values = _accepted(loaded.plan, inputs_of(store, old))
    findings = [*missing, *unkept(loaded.plan, {}, store)]
    if findings:
        raise InvalidFlowError("the run is refused", findings)
    options = {**old.options, "retry_from": start, "seed": old.options.get("seed") or old.id}
    record = await store.add(
        captured(loaded.checked), old.inputs, options, owner=host.executor.id, origin=old.id, attempt=old.attempt + 1
    )
    return await host.prepare(
        record, loaded.plan, accept=lambda *_: values, env=environment, secrets=known, sinks=on_event
    )


async def resume(
    run_id: str,
    *,
    retry: Sequence[str] = (),
    skip: Mapping[str, Any] | None = None,
    store: Store | str | None = None,
    **options: Any,
) -> RunResult:
    """Let a run go on whose process is gone, or that stopped for somebody to decide. Of steps whose outcome is unknown,
    those in `retry` are done again, and those in `skip` were done, with these outputs.

    `run_id`: the id, or the beginning of it. Raises `StoreError` when there is none, it has ended, or it runs.
    """
    async with opened(store) as own, hosting(own) as host:
        record = await taken(host, run_id, retry, skip)
        return await handle_of(host, await again(host, record, **options))


async def taken(host: Host, run_id: str, retry: Sequence[str] = (), skip: Mapping[str, Any] | None = None) -> StoredRun:
    """The run, made this process's own, with what was decided about it. Raises `StoreError` when that cannot be."""
    store = host.store
    known = await find(store, run_id)
    if known.state in ENDED:
        raise StoreError(f"run `{known.id}` is over: {known.state}")
    if not known.durable:
        raise StoreError(f"run `{known.id}` was in memory, and only recorded: it cannot go on")
    if known.owner is not None and not await gone(store, known.owner):
        raise StoreError(f"run `{known.id}` is under way in another process")
    decisions = Decisions(frozenset(retry), await _kept_outputs(store, known, skip or {}))
    refuse(decisions, await store.steps(known.id) if decisions else (), known.id)
    record = await store.take(known.id, host.executor.id, dead=known.owner)
    if record is None:
        raise StoreError(f"run `{known.id}` was taken by another process just now")
    if decisions:
        await decide(store, record, decisions)
    if known.state == "parked":
        await rehabilitate(store, record)
    return record


async def _kept_outputs(store: Store, run: StoredRun, skip: Mapping[str, Any]) -> dict[str, str]:
    """Outputs that somebody names, as the journal keeps them."""
    if not skip:
        return {}
    flow, kept = await store.flow(run.hash), {}
    steps, masker = steps_of(flow), Masker(_secrets(run, plan_of(flow), {}, os.environ)[0].values())
    for path, outputs in skip.items():
        if not isinstance(outputs, dict):
            raise StoreError(f"the outputs of `{path}` are an object with its outputs by name, not {outputs!r}")
        text = encode(outputs)
        secret = getattr(steps.get(static(path)), "secret_outputs", False) or masker.text(text) != text
        kept[path] = store.sealer.seal(text) if secret or store.sealer.ready else text
    return kept


async def interrupted(store: Store) -> list[StoredRun]:
    """The runs whose processes are gone, the oldest first."""
    rows: Iterable[Any] = await store.database.fetch(
        "SELECT id, owner FROM flowlang_runs WHERE owner IS NOT NULL AND durable = 1 ORDER BY created_at, id"
    )
    dead: dict[str, bool] = {}
    found = []
    for row in rows:
        owner = row["owner"]
        if owner not in dead:
            dead[owner] = await gone(store, owner)
        if dead[owner]:
            record = await store.run(row["id"])
            if record is not None:
                found.append(record)
    return found


# ---------------------------------------------------------------- asked from outside


async def send_signal(run_id: str, name: str, payload: Any = None, *, store: Store | str | None = None) -> str:
    """Send a signal; the state of its run. It is kept until the run waits for it. Raises `StoreError` for a run that
    is not there, or over."""
    async with opened(store) as own:
        run = await find(own, run_id)
        state = await own.signal(run.id, name, await _kept_payload(own, run, payload))
        if state is None or state in ENDED:
            raise StoreError(f"run `{run.id}` is over: {state or 'it was deleted'}")
        return state


async def _kept_payload(store: Store, run: StoredRun, payload: Any) -> str:
    """What a signal brings, as the store keeps it: encrypted when it holds a secret of the run, or when nobody
    here can tell. Raises `StoreError` for a secret without a key."""
    text, ready = encode(payload), store.sealer.ready
    try:
        plan = plan_of(await store.flow(run.hash))
        masker = Masker(_secrets(run, plan, {}, os.environ)[0].values())
        if any(each.secret for each in plan.inputs) and ready:
            given = inputs_of(store, run)
            masker.add([given[each.name] for each in plan.inputs if each.secret and each.name in given])
    except (InvalidFlowError, StoreError):
        return store.sealer.seal(text) if ready else text
    if masker.text(text) == text:
        return text
    try:
        return store.sealer.seal(text)
    except NoKey as error:
        raise StoreError(f"the signal holds a secret of the run, and the store keeps it: {error}") from None


async def cancel(run_id: str, *, store: Store | str | None = None) -> str:
    """Ask a run to stop; its state. Raises `StoreError` when there is none of that id."""
    async with opened(store) as own:
        run_id = (await find(own, run_id)).id
        state = await own.ask_to_cancel(run_id)
        if state is None:
            raise StoreError(f"run `{run_id}` was deleted just now")
        return state


@asynccontextmanager
async def recorded(
    flow: Flow,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: str | None = None,
    warn: Callable[[str], None],
    on_event: Sequence[Sink] = (),
    **options: Any,
) -> AsyncIterator[RunHandle]:
    """Begin a run in memory that is written into the history of a store as it goes on. What keeps it from being written
    is told to `warn`, once, and does not matter to the run."""
    recorder = Recorder(store, captured(flow.checked), os.environ, warn)
    handle = start(flow, inputs, on_event=[*on_event, recorder], **options)
    secret = {each.name for each in flow.plan.inputs if each.secret}
    shown = {name: MASK if name in secret else value for name, value in (inputs or {}).items()}
    recorder.begin(str(handle.run_id), handle.masker.value(shown), {})
    try:
        yield handle
    finally:
        result = await handle if handle.done else None
        await asyncio.to_thread(recorder.close, result)


async def delete(run_id: str, *, store: Store | str | None = None) -> str:
    """Delete a run that is over, with all that is kept of it; its id. Raises `StoreError`."""
    async with opened(store) as own:
        run = await find(own, run_id)
        await retention.delete(own, run)
        return run.id


async def prune(bounds: Retention, *, store: Store | str | None = None, dry_run: bool = False) -> Pruned:
    """Delete the runs that `bounds` does not keep, and flows that no run has. Raises `StoreError`."""
    async with opened(store) as own:
        return await retention.prune(own, bounds, folder=os.path.join(data_folder(), "flows"), dry_run=dry_run)


def new_key() -> str:
    """A key for `FLOWLANG_STORE_KEY`."""
    from flowlang.durable import sealing

    return sealing.new_key()


__all__ = [
    "Retention",
    "Store",
    "StoreError",
    "again",
    "begin",
    "cancel",
    "captured",
    "delete",
    "hosting",
    "interrupted",
    "left_result",
    "new_key",
    "opened",
    "plan_of",
    "prune",
    "recorded",
    "result_of",
    "resume",
    "retried",
    "run",
    "send_signal",
    "steps_of",
    "taken",
]
