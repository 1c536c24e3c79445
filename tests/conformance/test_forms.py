"""The plugin of the guide in each form: all pass the whole tier `contract`; what each takes and proves is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.forms import FORMS, OPERATIONS, SHORT, Form
from tests.connections.conftest import service, site, tree
from tests.connections.guide import laying
from tests.connections.guide.service import KEY, Service

from flowlang.testing import check_plugin

__all__ = ["service", "site", "tree"]

LONGEST_SHORT = 60  # lines
SCORES = {"guide": 0.35, "short": 0.60, "yaml": 0.60}  # at least


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=lambda each: each.name)
def test_each_form_passes_the_contract(
    form: Form, tree: Path, site: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """And proves at least so much of `quality`."""
    laying.client(site)
    config = {"api_key": KEY, "base_url": service.url, "timeout": 5.0, **form.settings}
    report = check_plugin(form.plugin(tree), config, operations=OPERATIONS)
    failed = [each.message for each in report.of("contract") if each.status == "failed"]
    with capsys.disabled():
        passed, of = report.count("passed", "contract"), len(report.of("contract"))
        print(  # noqa: T201 - the table is what is asked for
            f"\nMyService, {form.name:5}  {form.lines:3} lines  contract {passed} passed, "
            f"{report.count('waived', 'contract')} waived of {of}  quality {report.score:.0%}"
        )
    assert failed == []
    assert report.score >= SCORES[form.name], str(report)
    assert all(each.reason for each in report.outcomes if each.status != "passed")


def test_the_short_form_is_short() -> None:
    """Its lines, words and blank ones apart, against those of the guide."""
    guide, short = (next(each for each in FORMS if each.name == name) for name in ("guide", "short"))
    assert short.lines <= LONGEST_SHORT < guide.lines
    assert sum(bool(line.strip()) for line in SHORT.read_text("utf-8").splitlines()) <= LONGEST_SHORT


def test_the_plugin_page_shows_the_short_form_as_it_is() -> None:
    page = (SHORT.parents[2] / "docs/plugins.md").read_text("utf-8")
    assert SHORT.read_text("utf-8") in page
