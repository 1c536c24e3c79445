"""What everything outside uses: `load`, `check`, `run`, `run_sync`, `start`, `plugins`.

A source is a path (`str` or `os.PathLike`), or a text given as `text=`. A flow is parsed, checked and compiled
once; the plan is kept as long as its text, the files that it reaches and the installed plugins stay the same.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowlang import tracecontext
from flowlang.checking.checker import Checked
from flowlang.checking.flows import check_text
from flowlang.checking.rules.connections import DRIVER
from flowlang.diagnostics import Diagnostic, Position, Span, code, has_errors
from flowlang.exceptions import InvalidFlowError, PluginError
from flowlang.plan import Plan
from flowlang.records import frozen

if TYPE_CHECKING:
    import asyncio
    import contextvars

    from flowlang.connections.pools import Pools
    from flowlang.connections.registry import PluginRecord, PluginRegistry
    from flowlang.dryrun.records import DryRun
    from flowlang.engine.clock import Clock
    from flowlang.engine.common import Common
    from flowlang.engine.fiber import Fiber
    from flowlang.engine.result import RunResult
    from flowlang.engine.run import Run
    from flowlang.events import Sink
    from flowlang.mending import Mended
    from flowlang.views.graph.chart import Chart

Source = str | os.PathLike[str]
Tasks = Mapping[str, Callable[..., Any]] | list[Callable[..., Any]] | tuple[Callable[..., Any], ...]

UNREADABLE = code(
    "unreadable",
    """A flow file cannot be read.

It does not exist, is a folder, or may not be opened by this user. A relative path counts from the working directory.
""",
)
NOT_SET = code(
    "not-set",
    """A secret or a variable of the environment that the flow needs is not set.

A secret comes from `--secrets FILE`, from a file of its name in the folder `FLOWLANG_SECRETS_DIR`, or from the
variable `FLOWLANG_SECRET_<NAME>`. `check` needs none of them; `run` names every one that is missing, at once.
`${default(env.NAME, 'value')}` makes one optional.
""",
)


class Flow:
    """A flow that has been checked and may be run as often as one likes, also at the same time."""

    def __init__(self, checked: Checked) -> None:
        assert checked.plan is not None
        self.checked = checked
        self.plan: Plan = checked.plan

    @property
    def name(self) -> str:
        return self.plan.flow

    def __repr__(self) -> str:
        return f"<Flow {self.plan.flow} of {self.plan.file}>"


# ---------------------------------------------------------------- check and load


def check(
    source: Source | None = None,
    *,
    text: str | bytes | None = None,
    file: str | None = None,
    tasks: Tasks | None = None,
    registry: PluginRegistry | None = None,
) -> Checked:
    """Find everything that is wrong with a flow, without running it, opening anything or needing a driver.

    `file` names a `text` in findings; what the flow reaches (subflows, task files) is looked up beside it.
    `tasks` are functions that the flow may use as steps, beside those of its own `tasks:` files.
    """
    registry = registry or _registry()
    functions = named_tasks(tasks)
    if text is None:
        if source is None:
            raise TypeError("check() needs a path, or text=")
        path = os.fspath(source)
        try:
            text = read_bytes(path)
        except OSError as error:
            return Checked([_unreadable(path, error)], None, None)
    else:
        path = file or _UNNAMED
    return _CACHE.check(text, path, functions, registry)


_UNNAMED = "<text>"


def load(
    source: Source | None = None,
    *,
    text: str | bytes | None = None,
    file: str | None = None,
    tasks: Tasks | None = None,
    registry: PluginRegistry | None = None,
) -> Flow:
    """A checked flow, ready to run. Raises `InvalidFlowError` with all findings when it has errors."""
    checked = check(source, text=text, file=file, tasks=tasks, registry=registry)
    if checked.plan is None:
        raise InvalidFlowError(_summary(checked.findings), checked.findings)
    return Flow(checked)


def _summary(findings: list[Diagnostic]) -> str:
    errors = [each for each in findings if each.severity == "error"]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first.span}: {first.message}{more}"


def format_text(text: str | bytes, file: str = "<text>") -> str:
    """`text` in the canonical form of flow files (docs/fmt.md). Raises `InvalidFlowError` for what is not YAML."""
    from flowlang.document import formatting

    with _collector_paused():
        return formatting.format_text(text, file)


def mend(text: str, file: str, *, unsafe: bool = False) -> Mended:
    """`text` with the safe fixes of its findings applied, and what is left; with `unsafe` all fixes."""
    from flowlang import mending

    def look(changed: str) -> list[Diagnostic]:
        return check(text=changed, file=file).findings

    return mending.mend(text, file, look, unsafe=unsafe)


def read_bytes(path: str) -> bytes:
    """What is in a flow file, cut off just behind the size that one may have. Raises `OSError`."""
    from flowlang.document.source import LIMITS

    with open(path, "rb") as file:
        return file.read(LIMITS.size + 1)


def read_text(path: str) -> str:
    """The text of a file that a flow reaches. Raises `OSError`, also for what is not UTF-8."""
    with open(path, "rb") as file:
        raw = file.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OSError(f"it is not UTF-8: {error.reason} at byte {error.start}") from error


def _unreadable(path: str, error: OSError) -> Diagnostic:
    start = Position(1, 1)
    reason = (error.strerror or str(error)).lower()
    return Diagnostic(UNREADABLE, f"cannot read `{path}`: {reason}", Span(start, start, path))


@frozen
class _Entry:
    """What was checked, and the texts that it was made from. `tasks` are kept so that the identities in its key stay
    theirs."""

    text: str | bytes
    reached: dict[str, str]
    checked: Checked
    tasks: Mapping[str, Callable[..., Any]]


class _Cache:
    """Checked flows by source. An entry holds as long as every text it was made from is still the same."""

    LIMIT = 64

    def __init__(self) -> None:
        self._entries: dict[tuple[object, ...], _Entry] = {}

    def check(
        self, text: str | bytes, path: str, tasks: Mapping[str, Callable[..., Any]], registry: PluginRegistry
    ) -> Checked:
        marks = tuple(sorted((name, id(function)) for name, function in tasks.items()))
        name = path if path != _UNNAMED else text  # texts without a name do not push one another out
        key = (name, os.getcwd(), marks, registry, registry.fingerprint())
        entry = self._entries.get(key)
        if entry is not None and entry.text == text and all(still(*each) for each in entry.reached.items()):
            return entry.checked
        reached: dict[str, str] = {}

        def read(name: str) -> str:
            reached[name] = read_text(name)
            return reached[name]

        with _collector_paused():
            checked = check_text(text, path, registry=registry, tasks=tasks, read=read)
        if checked.plan is not None and all(each.code != DRIVER for each in checked.findings):
            self._entries.pop(key, None)
            while len(self._entries) >= self.LIMIT:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = _Entry(text, reached, checked, tasks)
        return checked


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A check makes a great many objects and hardly any garbage; looking for it would take half of the time."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def still(path: str, text: str) -> bool:
    """Whether a file that a flow reaches is as it was."""
    try:
        return read_text(path) == text
    except OSError:
        return False


_CACHE = _Cache()
_COMMON: Common | None = None


def _common() -> Common:
    """What all runs of this process have in common; made by the first."""
    global _COMMON
    if _COMMON is None:
        from flowlang.engine.common import Common

        _COMMON = Common()
    return _COMMON


def named_tasks(tasks: Tasks | None) -> dict[str, Callable[..., Any]]:
    """Tasks by name: a mapping as it is, a list of `@task` functions by the name each was given."""
    from flowlang.tasks.decorator import options_of

    if tasks is None:
        return {}
    if isinstance(tasks, Mapping):
        return dict(tasks)
    return {options_of(each).name or each.__name__: each for each in tasks}


def _registry() -> PluginRegistry:
    from flowlang.connections import plugin_registry

    return plugin_registry


def plugins() -> tuple[PluginRecord, ...]:
    """Every connection type there is for a flow in the working directory, services included, and those that cannot be
    used, with their reason."""
    from flowlang.services.project import here

    return here().records()


# ---------------------------------------------------------------- looked at, not run


def chart(checked: Checked, *, depth: int = 0) -> Chart:
    """What a picture of a flow without errors shows; `depth` levels of its subflows are drawn out. For
    `views.graph.mermaid` and `views.graph.svg`."""
    from flowlang.checking.rules.subflow_call import file_of
    from flowlang.masking import Masker
    from flowlang.views.graph.parts import Drawn
    from flowlang.views.graph.parts import chart as made

    masker = Masker()

    def drawn(known: Checked) -> Drawn | None:
        flow, plan = known.flow, known.plan
        if flow is None or plan is None:
            return None
        for each in plan.connections:
            masker.add(each.ready.secrets if each.ready is not None else ())
        masker.add([each.default for each in plan.inputs if each.secret])
        return Drawn(flow, plan.operations, plan.folder)

    def reach(folder: str, name: str) -> Drawn | None:
        path = file_of(folder, name)
        return drawn(check(path)) if path is not None else None

    root = drawn(checked)
    assert root is not None, "a flow with errors"
    return made(root, depth=depth, reach=reach, clean=masker.text)


def plan(
    source: Source | None = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    text: str | bytes | None = None,
    file: str | None = None,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    tasks: Tasks | None = None,
    registry: PluginRegistry | None = None,
    turns: int = 10,
) -> DryRun:
    """What a run would do: every call in order, with its arguments as far as they are known. Nothing is opened.

    Inputs and secrets may be missing. `turns`: how many turns of a loop are told one by one. Raises `InvalidFlowError`
    with the findings of a flow, or of inputs, that a run would refuse.
    """
    from flowlang.dryrun.run import dry_run
    from flowlang.dryrun.unknown import PartialUnit
    from flowlang.secretstore import resolve

    if source is None and text is None:
        raise TypeError("plan() needs a path, or text=")
    path = os.fspath(source) if text is None and source is not None else file or _UNNAMED
    if text is None:
        text = _readable(path)
    with _collector_paused():
        checked = check_text(
            text, path, registry=registry or _registry(), tasks=named_tasks(tasks), read=read_text, unit=PartialUnit
        )
    if checked.plan is None:
        raise InvalidFlowError(_summary(checked.findings), checked.findings)
    environment = os.environ if env is None else env
    known, _ = resolve(checked.plan.secret_names, dict(secrets or {}), environment)
    told, findings = dry_run(checked.plan, inputs or {}, env=environment, secrets=known, turns=turns)
    if told is None:
        raise InvalidFlowError(_summary(findings), findings)
    return told


def _readable(path: str) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        findings = [_unreadable(path, error)]
        raise InvalidFlowError(_summary(findings), findings) from error


# ---------------------------------------------------------------- run


class RunHandle:
    """A run under way. Await it for the result; `cancel()` ends it with status `cancelled`, after its clean-up."""

    def __init__(self, run: Run, task: asyncio.Task[RunResult]) -> None:
        self.run_id = run.run_id
        self.masker = run.masker
        """Knows the secrets of the run; for a log handler of the caller's own."""
        self._run = run
        self._task = task
        self._cancelled = False

    def cancel(self) -> None:
        """Interrupt the step that is running; `on_cancel` and `finally` still run. Calling it again does nothing."""
        if not self._cancelled:
            self._cancelled = True
            self._run.cancel()

    def signal(self, name: str, payload: Any = None) -> bool:
        """Send a signal. It satisfies one `wait: {signal: name}`, whose `payload` it becomes: the one under way that
        has waited longest, or else the next. What nobody waits for any more is forgotten with the run. Returns False,
        and does nothing, when the run is over: that may always have happened just before."""
        if self.done:
            return False
        self._run.signals.send(name, payload)
        return True

    @property
    def done(self) -> bool:
        return self._task.done()

    @property
    def queued(self) -> bool:
        """Whether the run waits until `concurrency` lets it begin."""
        return self._run.queued and not self.done

    def __await__(self) -> Generator[Any, None, RunResult]:
        return self._wait().__await__()

    async def _wait(self) -> RunResult:
        import asyncio

        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            # Whoever waited was cancelled: the run is, too, and is over before the cancellation goes on.
            while not self._task.done():
                self.cancel()
                try:
                    await asyncio.wait([self._task])
                except asyncio.CancelledError:
                    self._run.cancel()  # once more: whatever cleans up is cut short
            if not self._task.cancelled():
                self._task.exception()  # seen
            raise


async def run(
    flow: Flow | Source | None = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    text: str | bytes | None = None,
    file: str | None = None,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    tasks: Tasks | None = None,
    on_event: Sink | list[Sink] | None = None,
    files_root: Source | None = None,
    registry: PluginRegistry | None = None,
    clock: Clock | None = None,
    run_id: str | None = None,
    pools: Pools | None = None,
    trace_parent: str | None = None,
    trace_state: str | None = None,
) -> RunResult:
    """Run a flow to its end and tell how it ended; a failure is a result, not an exception.

    `inputs`: values by name, not coerced. `secrets`: values of `secrets.NAME`, before those of the environment.
    `env`: instead of the process's own. `on_event`: called with every event, secrets masked; keep it quick.
    `files_root`: where the file tasks may read and write (the working directory). `pools`: connections that it shares
    with other runs; without them it has its own. `trace_parent`, `trace_state`: the headers of W3C Trace Context that
    name the trace which the run belongs to; what is none is ignored. When the surrounding task is cancelled the run is
    cancelled first, clean-up included.
    """
    handle, refused = _begin(
        flow, inputs, text=text, file=file, secrets=secrets, env=env, tasks=tasks, on_event=on_event,
        files_root=files_root, registry=registry, clock=clock, run_id=run_id, pools=pools,
        trace_parent=trace_parent, trace_state=trace_state,
    )  # fmt: skip
    if handle is None:
        assert refused is not None
        return refused
    try:
        return await handle
    except InvalidFlowError as error:
        return invalid(error.findings, None)


def start(flow: Flow | Source, inputs: Mapping[str, Any] | None = None, **options: Any) -> RunHandle:
    """Like `run`, but returns at once with a handle to wait for and to cancel. Raises `InvalidFlowError`."""
    handle, refused = _begin(flow, inputs, **options)
    if handle is None:
        assert refused is not None
        raise InvalidFlowError(_summary(list(refused.findings)), refused.findings)
    return handle


def run_sync(flow: Flow | Source | None = None, inputs: Mapping[str, Any] | None = None, **options: Any) -> RunResult:
    """`run` for code without an event loop. Takes the same arguments."""
    import asyncio

    return asyncio.run(run(flow, inputs, **options))


def _begin(
    source: Flow | Source | None,
    inputs: Mapping[str, Any] | None,
    *,
    text: str | bytes | None = None,
    file: str | None = None,
    secrets: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    tasks: Tasks | None = None,
    on_event: Sink | list[Sink] | None = None,
    files_root: Source | None = None,
    registry: PluginRegistry | None = None,
    clock: Clock | None = None,
    run_id: str | None = None,
    fiber_type: type[Fiber] | None = None,
    common: Common | None = None,
    pools: Pools | None = None,
    trace_parent: str | None = None,
    trace_state: str | None = None,
) -> tuple[RunHandle | None, RunResult | None]:
    import asyncio
    import uuid

    from flowlang.engine.fiber import Fiber
    from flowlang.engine.inputs import accept
    from flowlang.engine.run import Run

    if pools is not None:
        pools.admit()
    registry = registry or _registry()
    if isinstance(source, Flow):
        checked = source.checked
    else:
        checked = check(source, text=text, file=file, tasks=tasks, registry=registry)
    plan = checked.plan
    if plan is None:
        errors = [each for each in checked.findings if each.severity == "error"]
        return None, invalid(errors, checked.name)
    environment: Mapping[str, str] = os.environ if env is None else env
    values, findings = accept(plan, inputs or {})
    known: dict[str, str] = dict(secrets or {})
    if plan.secret_names or plan.env_names:
        known, missing = refused_secrets(plan, known, environment)
        findings += missing
    if findings:
        return None, invalid(findings, plan.flow)
    one_run = Run(
        plan,
        values,
        run_id=run_id or str(uuid.uuid4()),
        env=environment,
        secrets=known,
        sinks=on_event if isinstance(on_event, list) else [on_event] if on_event is not None else [],
        clock=clock,
        common=common or _common(),
        fiber_type=fiber_type or Fiber,
        pools=pools,
    )
    surroundings = _surroundings(files_root, tracecontext.parsed(trace_parent, trace_state))
    if pools is not None:
        from flowlang.connections._pool import TENANT

        surroundings.run(TENANT.set, one_run)
    task = asyncio.get_running_loop().create_task(one_run.execute(), context=surroundings)
    if pools is not None:
        pools.accompany(task)
    return RunHandle(one_run, task), None


def _surroundings(files_root: Source | None, trace: tracecontext.Trace | None) -> contextvars.Context:
    """What a run, and all that it begins, finds around it."""
    import contextvars

    from flowlang.tasks.files import FILES_ROOT

    surroundings = contextvars.copy_context()
    surroundings.run(FILES_ROOT.set, os.path.abspath(files_root) if files_root is not None else os.getcwd())
    if trace is not None:
        surroundings.run(tracecontext.CURRENT.set, trace)
    return surroundings


def refused_secrets(
    plan: Plan, given: Mapping[str, str], env: Mapping[str, str]
) -> tuple[dict[str, str], list[Diagnostic]]:
    """The secrets that a run of `plan` is given, and findings for those, and for variables, that are not set."""
    from flowlang import secretstore

    known, missing = secretstore.resolve(plan.secret_names, given, env)
    findings = [
        Diagnostic(
            NOT_SET,
            f"secret `{name}` is not set",
            plan.secret_names[name],
            suggestion=f"set the variable {secretstore.PREFIX}{name}, or give `--secrets FILE`",
        )
        for name in missing
    ]
    findings += [
        Diagnostic(NOT_SET, f"the variable `{name}` of the environment is not set", span, suggestion=f"export {name}=…")
        for name, span in plan.env_names.items()
        if name not in env
    ]
    return known, sorted(findings, key=lambda each: each.span.start)


def invalid(findings: Any, flow: str | None) -> RunResult:
    """The result of a run that was refused before it began."""
    from flowlang.engine.result import RunResult

    return RunResult(None, flow, "invalid", {}, findings=tuple(findings))


__all__ = [
    "Checked",
    "Flow",
    "InvalidFlowError",
    "PluginError",
    "RunHandle",
    "check",
    "has_errors",
    "load",
    "plugins",
    "run",
    "run_sync",
    "start",
]
