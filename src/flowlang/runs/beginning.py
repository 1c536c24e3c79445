"""Begin a run that is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.api import Flow, InvalidFlowError, RunHandle, invalid, load, refused_secrets
from flowlang.durable.execution import Outcome
from flowlang.durable.host import Host, hosting
from flowlang.durable.run import DurableRun
from flowlang.durable.store import Store
from flowlang.engine.inputs import accept
from flowlang.engine.result import RunResult
from flowlang.events import Sink
from flowlang.runs.flows import captured
from flowlang.runs.refusals import inputs_text, unkept
from flowlang.runs.results import left_result
from flowlang.runs.stores import opened


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
        "files_root": absolute(files_root or "."), "secrets_file": absolute(secrets_file),
        "trace_parent": trace_parent, "trace_state": trace_state,
    }  # fmt: skip
    record = await host.store.add(
        captured(flow.checked), inputs_text(plan, given, host.store), options, owner=host.executor.id, run_id=run_id
    )
    run = await host.prepare(
        record, plan, accept=lambda *_: values, env=environment, secrets=known, sinks=on_event, begins=True
    )  # fmt: skip
    return handle_of(host, run)


def absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)


def handle_of(host: Host, run: DurableRun) -> RunHandle:
    """Begin it, and something to wait for."""
    return RunHandle(run, asyncio.ensure_future(_told(run, host.start(run))))


async def _told(run: DurableRun, task: asyncio.Task[Outcome]) -> RunResult:
    outcome = await task
    return outcome if isinstance(outcome, RunResult) else left_result(outcome, run)


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
