"""`flowlang worker`: execute what is submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.given import secrets_of
from flowlang.cli.listening import listeners, listening_options
from flowlang.cli.output import err
from flowlang.cli.stored import STORE
from flowlang.cli.submit import duration

if TYPE_CHECKING:
    from flowlang.workers import Settings, Worker

_DRAINING = "stopping: runs under way may end; once more to leave at once"


def _queues(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, int | None]:
    """`NAME` or `NAME:CONCURRENCY`."""
    found: dict[str, int | None] = {}
    for each in given or ("default",):
        name, colon, number = each.partition(":")
        if not name or (colon and (not number.isdigit() or int(number) == 0)):
            raise click.BadParameter(f"`{each}` is no queue; write NAME or NAME:4", ctx, param)
        found[name] = int(number) if colon else None
    return found


@click.command()
@STORE
@click.option(
    "--queue", "queues", metavar="NAME[:N]", multiple=True, callback=_queues,
    help="A queue to serve, and how many of its runs at once; may be repeated (default: `default`).",
)  # fmt: skip
@click.option(
    "--concurrency", metavar="N", type=click.IntRange(1), default=20, help="Runs at once, of all queues (default: 20)."
)
@click.option(
    "--grace",
    metavar="TIME",
    default="30s",
    callback=duration,
    help="What runs get to end when stopped (default: 30s).",
)
@click.option(
    "--park-after", metavar="N", type=click.IntRange(1), default=5,
    help="A run is set aside when so many workers were lost while they ran it (default: 5).",
)  # fmt: skip
@click.option(
    "--keep-for", metavar="TIME", callback=duration, envvar="FLOWLANG_KEEP_FOR",
    help="Remove runs that ended longer ago: 30d (default: FLOWLANG_KEEP_FOR, else none).",
)  # fmt: skip
@click.option(
    "--keep", metavar="N", type=click.IntRange(0), envvar="FLOWLANG_KEEP",
    help="Remove all but so many that ended last (default: FLOWLANG_KEEP, else none).",
)  # fmt: skip
@click.option("--secrets", "secrets_file", metavar="FILE", help="Secrets: lines NAME=value, or YAML.")
@listening_options
@click.option("-v", "--verbose", is_flag=True, help="Logs on stderr, down to DEBUG.")
def worker(
    store: str | None,
    queues: dict[str, int | None],
    concurrency: int,
    grace: float,
    park_after: int,
    keep_for: float | None,
    keep: int | None,
    secrets_file: str | None,
    events: str | None,
    otel: bool | None,
    verbose: bool,
) -> int:
    """Execute what is submitted to a store, and take over the runs of workers that died. As many as one likes, on as
    many machines.

    SIGTERM, and Ctrl-C: claims nothing more, and lets runs end; those that do not go on elsewhere.
    """
    from flowlang.cli.run import invalid, tell
    from flowlang.workers import Retention, Settings

    secrets, problems = secrets_of(secrets_file) if secrets_file is not None else ({}, [])
    if problems:
        return tell(invalid(problems, None), {}, as_json=False)
    retention = Retention(keep_for, keep) if keep_for is not None or keep is not None else None
    with listeners(events, otel) as heard:
        settings = Settings(queues, concurrency, grace, park_after, retention)
        _serve(settings, store, secrets, heard, verbose=verbose)
    return 0


def _serve(settings: Settings, store: str | None, secrets: dict[str, str], heard: list[Any], *, verbose: bool) -> None:
    import asyncio
    import logging

    from flowlang import workers
    from flowlang.cli.logs import logging_to_stderr
    from flowlang.cli.signals import interruptible

    log = logging.getLogger("flowlang.worker")
    log.setLevel(logging.INFO)
    with logging_to_stderr(verbose) as handler, interruptible(_DRAINING) as interruption:

        def ready(worker: Worker) -> None:
            loop = asyncio.get_running_loop()

            def stop() -> None:
                loop.call_soon_threadsafe(worker.stop)

            interruption.cancel = stop
            if interruption.number is not None:
                worker.stop()
            handler.clean = lambda text: _masked(worker, text)
            err(f"worker {worker.host.executor.id[:8]} serves {', '.join(settings.queues)} of {worker.store.url}")

        asyncio.run(workers.work(settings, store=store, secrets=secrets, on_event=heard, ready=ready))


def _masked(worker: Worker, text: str) -> str:
    """Without any secret of the runs under way."""
    for run, _ in list(worker.host.running.values()):
        text = run.masker.text(text)
    return text
