"""The tests in the files of services: each operation on the replies that its test writes down, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowlang.diagnostics import Diagnostic, Span
from flowlang.exceptions import FlowExecutionError
from flowlang.testing import codes
from flowlang.testing.patterns import equal, shown
from flowlang.testing.runner import Outcome

if TYPE_CHECKING:
    from flowlang.services.plugin import ServicePlugin
    from flowlang.services.replaying import Asked
    from flowlang.services.trials import Reply, Trial


def run_trial(file: str, kind: type[ServicePlugin], trial: Trial) -> Outcome:
    """One test. It needs a thread without a running event loop."""
    began = time.perf_counter()
    problems = tuple(asyncio.run(_problems(kind, trial)))
    return Outcome(
        file=file,
        name=trial.name.text,
        line=trial.name.span.start.line,
        flow=file,
        problems=problems,
        status="failed" if problems else "succeeded",
        seconds=time.perf_counter() - began,
    )


async def _problems(kind: type[ServicePlugin], trial: Trial) -> list[Diagnostic]:
    from flowlang.services.replaying import UnansweredRequest, carried_out

    given: Any = None
    failed: FlowExecutionError | None = None
    try:
        given, asked = await carried_out(kind, trial)
    except UnansweredRequest as error:
        asked = error.asked  # type: ignore[attr-defined]
        last = asked[-1]
        message = f"`{trial.operation.name}` asks once more than there are replies: {last.method} {last.path}"
        return [*_of_requests(trial, asked), _finding(message, trial.name.span)]
    except FlowExecutionError as error:
        failed, asked = error, error.asked  # type: ignore[attr-defined]
    problems = list(_of_requests(trial, asked))
    if len(asked) < len(trial.replies):
        message = f"`{trial.operation.name}` asks {len(asked)} times, and there are {len(trial.replies)} replies"
        problems.append(_finding(message, trial.replies[len(asked)].span))
    return problems + list(_of_failure(trial, failed) if failed or trial.error else _of_outputs(trial, given))


def _of_requests(trial: Trial, asked: list[Asked]) -> Iterator[Diagnostic]:
    for request, reply in zip(asked, trial.replies):
        yield from _of_request(request, reply)


def _of_request(request: Asked, reply: Reply) -> Iterator[Diagnostic]:
    for part, (wanted, span) in reply.asked.items():
        given = getattr(request, part)
        if part in ("query", "headers", "form") and isinstance(wanted, Mapping):
            for name, value in wanted.items():
                key = name.lower() if part == "headers" else name
                if key not in given:
                    yield _finding(f"`{part}.{name}` is not sent; there are {', '.join(given) or 'none'}", span)
                elif not _same(value, given[key]):
                    yield _finding(f"`{part}.{name}`: expected {shown(value)}, sent {shown(given[key])}", span)
        elif not _equal(wanted, given):
            yield _finding(f"`{part}`: expected {shown(wanted)}, sent {shown(given)}", span)


def _same(wanted: Any, sent: Any) -> bool:
    """Whether a text of a query is the one for a value: `true` for true."""
    from flowlang.expressions.runtime import text

    if isinstance(wanted, list) and isinstance(sent, list):
        return len(wanted) == len(sent) and all(map(_same, wanted, sent))
    plain = wanted is not None and not isinstance(wanted, (list, dict))
    return bool(sent == wanted or (plain and text(wanted) == sent))


def _of_failure(trial: Trial, failed: FlowExecutionError | None) -> Iterator[Diagnostic]:
    name = trial.operation.name
    if failed is None:
        yield _finding(f"`{name}` succeeds, and an error is expected", next(iter(trial.error.values()))[1])
        return
    verdict = getattr(failed, "verdict", None)
    kind = verdict.error_class if verdict is not None else failed.error_class
    if not trial.error:
        yield _finding(f"`{name}` fails with `{kind}`: {failed}", trial.name.span)
        return
    given = {"type": kind, "detail": str(failed), "retry_after": failed.retry_after}
    for key, (wanted, span) in trial.error.items():
        fits = str(wanted) in str(failed) if key == "detail" else _equal(wanted, given[key])
        if not fits:
            yield _finding(f"`{key}` of the error: expected {shown(wanted)}, got {shown(given[key])}", span)


def _of_outputs(trial: Trial, given: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for name, (wanted, span) in trial.outputs.items():
        if not _equal(wanted, given[name]):
            yield _finding(f"output `{name}`: expected {shown(wanted)}, got {shown(given[name])}", span)


def _equal(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(given, dict)
            and wanted.keys() == given.keys()
            and all(_equal(each, given[key]) for key, each in wanted.items())
        )
    if isinstance(wanted, list):
        return isinstance(given, list) and len(wanted) == len(given) and all(map(_equal, wanted, given))
    return equal(wanted, given)


def _finding(message: str, span: Span) -> Diagnostic:
    return Diagnostic(codes.EXPECTATION, message, span)
