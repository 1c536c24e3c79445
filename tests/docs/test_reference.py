"""The examples of the reference do what their pages say: verbs give these outputs, failures have this class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import flowlang
from flowlang.exceptions import ERROR_CLASSES
from flowlang.views.failures import FAILURES, FailurePage
from flowlang.views.verbs import VERBS, Verb


def run(text: str, folder: Path) -> flowlang.RunResult:
    """Run a flow that the check has nothing to say about."""
    path = folder / "flow.yaml"
    path.write_text(text, encoding="utf-8")
    assert flowlang.check(path).findings == []
    return flowlang.run_sync(path, files_root=folder)


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda each: each.name)
def test_the_example_of_a_verb_gives_what_its_page_says(verb: Verb, tmp_path: Path) -> None:
    for name, text in verb.beside.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = run(verb.example, tmp_path)
    assert result.succeeded, result.failure
    assert json.dumps(result.to_record()["outputs"]) == verb.result
    assert verb.name == "task" or f"{verb.name}:" in verb.example


@pytest.mark.parametrize("failure", FAILURES.values(), ids=lambda each: each.name)
def test_the_example_of_an_error_class_fails_with_it(failure: FailurePage, tmp_path: Path) -> None:
    result = run(failure.example, tmp_path)
    if failure.handled:
        assert result.outputs == {"type": failure.name}
    else:
        assert result.failure is not None
        assert result.failure.type == failure.name


def test_every_class_has_its_page() -> None:
    assert FAILURES.keys() == ERROR_CLASSES.keys()
