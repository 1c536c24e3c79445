"""Each check of the kit passes on a plugin that does everything right, and catches one that does one thing wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.double.server import LineKV
from tests.conformance.examining import examined
from tests.conformance.mutants import loaded, mutants

from flowlang.conformance.model import Check, all_checks

ROOT = Path(__file__).resolve().parents[2]
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


def test_the_docs_show_every_check_with_its_mutant() -> None:
    """What `tests/conformance/recording.py` wrote down is of these checks and these mutants, and each is caught."""
    recorded = json.loads((ROOT / "docs/data/conformance.json").read_text("utf-8"))
    table = {check: (row["mutant"], check in row["fails"]) for check, row in recorded["mutants"].items()}
    assert table == {each.id: (loaded(mutants()[each.id]).__name__, True) for each in CHECKS}
    reports = {name: report for part in ("builtin", "services", "forms") for name, report in recorded[part].items()}
    known = {each.id for each in CHECKS}
    assert {name for name, report in reports.items() if report["outcomes"].keys() != known} == set(), (
        "record them again"
    )
    assert recorded["builtin"].keys() | recorded["services"].keys() <= recorded["servers"].keys()
