"""A report of tests as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.testing.collect import Report
from flowlang.testing.coverage import Coverage, FlowCoverage
from flowlang.testing.runner import Outcome
from flowlang.views.findings import failure_text, findings_text
from flowlang.views.text import Paint, many, plain, seconds, table


def line_of(outcome: Outcome, paint: Paint = plain) -> str:
    """One test on one line; what its flow took by its own clock, when that is worth telling."""
    mark = paint("ok  ", "good") if outcome.passed else paint("FAIL", "error")
    virtual = f", {seconds(outcome.duration)} of the flow's time" if outcome.duration >= 1 else ""
    return f"{mark} {outcome.file}: {outcome.name} {paint(f'({seconds(outcome.seconds)}{virtual})', 'dim')}"


def problems_text(outcome: Outcome, sources: Mapping[str, str], *, colour: bool = False) -> str:
    """Why a test failed: what is not as expected, and how its run failed when that says more."""
    parts = [findings_text(outcome.problems, sources, colour=colour)]
    if outcome.failure is not None and outcome.failure.type != "cancelled":
        parts.append(failure_text(outcome.failure, None, sources, colour=colour))
    return "\n\n".join(parts)


def summary(report: Report) -> str:
    """`3 passed, 1 failed in 2 files`."""
    passed = len(report.outcomes) - len(report.failed)
    told = [f"{passed:,} passed"] if passed or not report.failed else []
    told += [f"{len(report.failed):,} failed"] if report.failed else []
    told += [f"{report.deselected:,} not selected"] if report.deselected else []
    took = seconds(sum(each.seconds for each in report.outcomes))
    files = many(len(report.files), "test file")
    if not report.outcomes:
        return f"no test was run: {', '.join([files, *told[1:]])}"
    return f"{', '.join(told)} in {files}, {took}"


# ---------------------------------------------------------------- coverage


def coverage_text(coverage: Coverage, paint: Paint = plain) -> str:
    """A table of the flows, and below it every step and branch that no test took."""
    rows = [[flow.file, _of(flow, "steps"), _of(flow, "branches"), _percent(flow)] for flow in coverage.flows.values()]
    lines = table(rows, ["flow", "steps", "branches", "taken"], right=(1, 2, 3), paint=paint)
    for flow in coverage.flows.values():
        lines += [f"{flow.file}:{line}: {text}" for line, text in _missed(flow)]
    return "\n".join([*lines, f"{coverage.share():.1f} % of all steps and branches were taken"])


def _of(flow: FlowCoverage, kind: str) -> str:
    taken, known = flow.of(kind)
    return f"{taken}/{known}"


def _percent(flow: FlowCoverage) -> str:
    taken, known = map(sum, zip(flow.of("steps"), flow.of("branches")))
    return f"{100.0 * taken / known if known else 100.0:.1f} %"


def _missed(flow: FlowCoverage) -> Iterator[tuple[int, str]]:
    for point in flow.missed():
        yield point.line, f"`{point.path}`: never taken: {point.word}" if point.word else f"`{point.path}` never ran"


# ---------------------------------------------------------------- JSON


def to_record(report: Report, *, coverage: bool) -> dict[str, Any]:
    """The report as `--json` prints it."""
    record: dict[str, Any] = {
        "ok": report.ok,
        "passed": len(report.outcomes) - len(report.failed),
        "failed": len(report.failed),
        "deselected": report.deselected,
        "tests": [_test(each) for each in report.outcomes],
        "findings": [each.to_record() for each in report.findings],
    }
    if report.recorded:
        record["recorded"] = report.recorded
    if coverage:
        record["coverage"] = {
            "percent": round(report.coverage.share(), 2),
            "flows": [_flow(each) for each in report.coverage.flows.values()],
        }
    return record


def _test(outcome: Outcome) -> dict[str, Any]:
    return {
        "file": outcome.file,
        "line": outcome.line,
        "name": outcome.name,
        "flow": outcome.flow,
        "passed": outcome.passed,
        "status": outcome.status,
        "duration_ms": round(outcome.duration * 1000, 3),
        "took_ms": round(outcome.seconds * 1000, 3),
        "problems": [each.to_record() for each in outcome.problems],
        "error": outcome.failure.as_value() if outcome.failure is not None else None,
    }


def _flow(flow: FlowCoverage) -> dict[str, Any]:
    (steps, all_steps), (branches, all_branches) = flow.of("steps"), flow.of("branches")
    return {
        "file": flow.file,
        "steps": {"taken": steps, "known": all_steps},
        "branches": {"taken": branches, "known": all_branches},
        "missed": [{"step": each.path, "branch": each.word or None, "line": each.line} for each in flow.missed()],
    }
