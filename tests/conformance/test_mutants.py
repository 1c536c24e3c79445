"""Each check of the kit passes on a plugin that does everything right, and catches one that does one thing wrong."""

from __future__ import annotations

import pytest
from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.double.server import LineKV
from tests.conformance.examining import examined
from tests.conformance.mutants import loaded, mutants

from flowlang.conformance.model import Check, all_checks

CHECKS = all_checks()
each_check = pytest.mark.parametrize("check", CHECKS, ids=[each.id for each in CHECKS])


@each_check
def test_the_check_passes_on_the_double(check: Check, linekv: LineKV) -> None:
    outcome = examined(check, LineKVPlugin, linekv, flawed=False)
    assert outcome.status == "passed", outcome.message


@pytest.mark.long
@each_check
def test_the_check_catches_its_mutant(check: Check, linekv: LineKV) -> None:
    outcome = examined(check, loaded(mutants()[check.id]), linekv, flawed=True)
    assert outcome.status == "failed", outcome.status


def test_every_check_has_a_mutant() -> None:
    assert {each.id for each in CHECKS} == mutants().keys()
