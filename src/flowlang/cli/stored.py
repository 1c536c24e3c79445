"""What the commands on stores share: opening one, and runs that begin or go on in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from flowlang.api import Flow, RunHandle
    from flowlang.cli.run import Starting
    from flowlang.events import Sink

STORE = click.option(
    "--store", metavar="URL", help="The store: sqlite:///PATH or postgresql://… (default: FLOWLANG_STORE)."
)
RUN = click.argument("run_id", metavar="ID")
"""The id of a run, or as much of its beginning as no other has."""


def beginning(flow: Flow, inputs: Mapping[str, Any], store: str | None, options: Mapping[str, Any]) -> Starting:
    """A durable run of `flow`."""

    @asynccontextmanager
    async def start(sinks: Sequence[Sink]) -> AsyncIterator[RunHandle]:
        from flowlang import runs
        from flowlang.cli.output import err

        async with runs.opened(store) as own, runs.hosting(own) as host:
            handle = await runs.begin(host, flow, inputs, on_event=sinks, **options)
            err(f"run {handle.run_id} in {own.url}")
            yield handle

    return start


def retrying(run_id: str, store: str | None, file: str | None, start: str | None, texts: dict[str, str]) -> Starting:
    """A new run that retries one that is over. What it took over, and why not more, is told at its end. `texts`: gets
    the files of its flow."""

    @asynccontextmanager
    async def begin(sinks: Sequence[Sink]) -> AsyncIterator[RunHandle]:
        from flowlang import api, runs
        from flowlang.cli.output import err
        from flowlang.views.runlist import reuse_text

        async with runs.opened(store, make=False) as own, runs.hosting(own) as host:
            flow = api.load(file) if file is not None else None
            run = await runs.retried(host, run_id, flow, start=start, on_event=sinks)
            texts.update((await own.flow(run.record.hash)).texts)
            err(f"run {run.run_id} in {own.url}")
            yield runs.handle_of(host, run)
            assert run.reuse is not None
            err(reuse_text(run.run_id, run.reuse.taken, run.reuse.why))

    return begin


def recorded(flow: Flow, inputs: Mapping[str, Any], store: str | None, options: Mapping[str, Any]) -> Starting:
    """A run of `flow` in memory that is written into the history."""

    @asynccontextmanager
    async def start(sinks: Sequence[Sink]) -> AsyncIterator[RunHandle]:
        from flowlang import runs
        from flowlang.cli.output import err

        def warn(text: str) -> None:
            err(f"warning: {text}")

        def added(run_id: str, url: str) -> None:
            err(f"run {run_id} in {url}")

        async with runs.recorded(
            flow, inputs, store=store, warn=warn, added=added, on_event=sinks, **options
        ) as handle:
            yield handle

    return start


def going_on(
    run_id: str,
    store: str | None,
    options: Mapping[str, Any],
    retry: Sequence[str] = (),
    skip: Mapping[str, Any] | None = None,
    *,
    texts: dict[str, str],
) -> Starting:
    """The next life of a run, with what was decided about its steps. `texts`: gets the files of its flow."""

    @asynccontextmanager
    async def start(sinks: Sequence[Sink]) -> AsyncIterator[RunHandle]:
        from flowlang import runs
        from flowlang.cli.output import err

        async with runs.opened(store, make=False) as own, runs.hosting(own) as host:
            record = await runs.taken(host, run_id, retry, skip)
            texts.update((await own.flow(record.hash)).texts)
            err(f"run {record.id} in {own.url}")
            yield runs.handle_of(host, await runs.again(host, record, on_event=sinks, **options))

    return start
