"""Flows that use the language as it is meant: the check has nothing to say. A false alarm costs as much as a miss."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.checking.plugins import registry

import flowlang
from flowlang.cli.explain import codes
from flowlang.diagnostics import CODES, render
from flowlang.services.read import read_service
from flowlang.views.pages import outdented

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VALID = sorted((HERE / "valid").glob("*.yaml"))
EXAMPLES = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "src/flowlang/connections").glob("*/example.yaml")])
REGISTRY = registry()


@pytest.mark.parametrize("path", [*VALID, *EXAMPLES], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_valid_flow_has_no_finding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a warning, and there is a plan."""
    monkeypatch.chdir(path.parent)
    ours = "connections" in path.parts  # the example of a built-in type, which the registry of this test need not know
    found = flowlang.check(path.name, registry=None if ours else REGISTRY)
    assert [render(each, found.sources.get(each.span.file)) for each in found.findings] == []
    assert found.plan is not None


def test_the_corpus_is_there() -> None:
    """A wrong path must not make the test above pass unseen."""
    assert len(VALID) >= 25
    assert len(EXAMPLES) >= 3


BLOCK = re.compile(r"^```(?P<language>yaml|python)(?P<marks>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = codes()
PAGES = {name: list(BLOCK.finditer(outdented(known.page))) for name, known in sorted(KINDS.items())}
WRONG = {"wrong", "hint"}
SHOWN = {name: found for name, found in PAGES.items() if any(WRONG & {*each["marks"].split()} for each in found)}

# Kinds that no text of one flow file can show, by the reason.
NOT_SHOWN = {
    "it takes more than thirty files": "subflow-too-deep",
    "it takes a plugin of a certain kind": "broken-plugin config-refused missing-driver no-transactions",
    "it would fill the page, or could not be seen on it": "file-limit expression-limit hidden-character not-utf-8",
    "it is about a file, not about what it says": "unreadable unusable-file",
    "it is about what a run is given": "invalid-input unknown-input not-set no-store-key refused",
    "it is about a file of tests": "expectation idle-mock mock-used-up no-flow-to-test not-a-call not-mocked recording "
    "stuck unknown-step",
    "every example has a kind of its own as soon as it is understood": "yaml-syntax",
}
# Found beside the finding that a page shows, because the one follows from something else on it.
BESIDE = {
    "query-given-twice": {"query-file"},
    "subflow-cycle": {"subflow-invalid"},
    "subflow-invalid": {"unknown-name"},
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_of_a_finding_is_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the page of a code the wrong flow has that finding and no other, and the mended one has none. A block with
    `file=NAME` lies beside those after it; a fragment is not checked by itself."""
    monkeypatch.chdir(tmp_path)
    for block in SHOWN[name]:
        marks = block["marks"].split()
        file = next((each.removeprefix("file=") for each in marks if each.startswith("file=")), "flow.yaml")
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(block["text"], encoding="utf-8")
        if "fragment" in marks or block["language"] != "yaml":
            continue
        if "service" in marks:
            found = {each.code for each in read_service(file).findings}
        else:
            checked = flowlang.check(file, registry=REGISTRY)
            found = {each.code for each in (checked.hints if "hint" in marks else checked.findings)}
        expected = {name} | BESIDE.get(name, set()) if WRONG & {*marks} else set()
        assert found == expected, block["text"]


def test_every_finding_is_shown_or_has_a_reason() -> None:
    """Each kind of finding has a flow on its page that gives it; the table says why the others have none."""
    excused = {name for names in NOT_SHOWN.values() for name in names.split()}
    assert sorted(set(KINDS) - set(SHOWN) - excused) == []
    assert sorted(excused & set(SHOWN)) == [], "these are shown: take them out of the table"


CORPUS = re.compile(r"^(?:\w+\[([a-z0-9-]+)\]: |\d+:\d+ ([a-z0-9-]+) )", re.MULTILINE)
ELSEWHERE = {
    "tests/checking/test_robustness.py": "broken-plugin",
    "tests/document and tests/expressions, as text that is made": "expression-limit",
    "tests/durable": "no-store-key",
    "tests/cli and tests/runs": "invalid-input unknown-input not-set refused unreadable unusable-file",
    "the tests of `flowlang test`": "expectation idle-mock mock-used-up no-flow-to-test not-a-call not-mocked "
    "recording stuck unknown-step",
    "tests/services/test_reading.py": "service-address service-credential service-operation service-secret",
    "tests/checking/test_robustness.py, which makes the files": "subflow-too-deep",
}


def test_every_finding_is_in_the_corpus() -> None:
    """Each kind of finding stands in a golden file, or is tested where the table says."""
    outputs = [*(HERE / "cases").glob("*/*.out"), *(HERE.parent / "document/cases").glob("*.out")]
    seen = {a or b for path in outputs for a, b in CORPUS.findall(path.read_text(encoding="utf-8"))}
    elsewhere = {name for names in ELSEWHERE.values() for name in names.split()}
    assert sorted(set(KINDS) - seen - elsewhere) == []
    assert sorted(elsewhere & seen) == [], "these are in the corpus: take them out of the table"


def test_every_page_says_more_than_its_title() -> None:
    """A page explains, and shows what it means."""
    assert [name for name, known in CODES.items() if len(known.page.strip().splitlines()) < 2] == []
