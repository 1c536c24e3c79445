"""A report as JUnit XML, in the form that CI systems read: suites of cases with failures and errors.

The elements and attributes are those that Jenkins, GitLab and Azure Pipelines have in common: `testsuites`,
`testsuite`, `testcase` with `classname`, `name`, `file`, `line`, `time`, and `failure` or `error` inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from flowlang.testing.collect import Report
from flowlang.testing.report import problems_text
from flowlang.testing.runner import Outcome
from flowlang.views.findings import findings_text

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # all that XML 1.0 cannot hold


def junit_xml(report: Report, now: datetime | None = None) -> str:
    """The report as an XML document. A test file that is invalid is a suite with one case, which has an error."""
    from xml.etree import ElementTree as Xml

    stamp = (now or datetime.now(UTC)).replace(tzinfo=None).isoformat(timespec="seconds")
    root = Xml.Element("testsuites", name="flowlang test")
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for file in report.files:
        outcomes = [each for each in report.outcomes if each.file == file]
        broken = _broken(file, report, outcomes)
        took = sum(each.seconds for each in outcomes)
        counts = {
            "tests": len(outcomes) + bool(broken),
            "failures": sum(not each.passed for each in outcomes),
            "errors": int(bool(broken)),
        }
        facts = {key: str(value) for key, value in counts.items()} | {"skipped": "0", "time": f"{took:.3f}"}
        suite = Xml.SubElement(root, "testsuite", name=_legal(file), timestamp=stamp)
        for key, fact in facts.items():
            suite.set(key, fact)
        for each in outcomes:
            _case(suite, each, report.sources)
        if broken:
            case = Xml.SubElement(
                suite, "testcase", classname=_class(file), name="the file", file=_legal(file), time="0"
            )
            _problem(case, "error", "the test file or its flow is invalid", broken)
        totals = {key: totals[key] + counts[key] for key in totals}
    for key, value in totals.items():
        root.set(key, str(value))
    root.set("time", f"{sum(each.seconds for each in report.outcomes):.3f}")
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _broken(file: str, report: Report, outcomes: list[Outcome]) -> str:
    """What is wrong with a file of which no test could be run."""
    errors = [each for each in report.findings if each.severity == "error"]
    mine = [each for each in errors if each.span.file == file] or errors
    return findings_text(mine, report.sources) if not outcomes and mine else ""


def _case(suite: object, outcome: Outcome, sources: Mapping[str, str]) -> None:
    from xml.etree import ElementTree as Xml

    case = Xml.SubElement(
        suite,  # type: ignore[arg-type]
        "testcase",
        classname=_class(outcome.file),
        name=_legal(outcome.name),
        file=_legal(outcome.file),
        line=str(outcome.line),
        time=f"{outcome.seconds:.3f}",
    )
    if outcome.problems:
        _problem(case, "failure", outcome.problems[0].message, problems_text(outcome, sources))


def _problem(case: object, kind: str, message: str, text: str) -> None:
    from xml.etree import ElementTree as Xml

    element = Xml.SubElement(case, kind, message=_legal(message), type=kind)  # type: ignore[arg-type]
    element.text = _legal(text)


def _class(file: str) -> str:
    """The path as the dotted name that viewers group by."""
    return _legal(file.removesuffix(".test.yaml").strip("./").replace("/", "."))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
