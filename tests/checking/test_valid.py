"""Flows that use the language as it is meant: the check has nothing to say. A false alarm costs as much as a miss."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.checking.plugins import registry

import flowlang
from flowlang.diagnostics import CODES, render

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VALID = sorted((HERE / "valid").glob("*.yaml"))
EXAMPLES = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "src/flowlang/connections").glob("*/example.yaml")])
REGISTRY = registry()


@pytest.mark.parametrize("path", [*VALID, *EXAMPLES], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_valid_flow_has_no_finding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a warning, and there is a plan."""
    monkeypatch.chdir(path.parent)
    found = flowlang.check(path.name, registry=REGISTRY)
    assert [render(each, found.sources.get(each.span.file)) for each in found.findings] == []
    assert found.plan is not None


def test_the_corpus_is_there() -> None:
    """A wrong path must not make the test above pass unseen."""
    assert len(VALID) >= 25
    assert len(EXAMPLES) >= 3


BLOCK = re.compile(r"^```yaml(?P<marks>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {name: list(BLOCK.finditer(known.page)) for name, known in sorted(CODES.items()) if "```yaml" in known.page}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_a_finding_is_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the page of a code the wrong flow has that finding, and the mended one has none."""
    monkeypatch.chdir(tmp_path)
    for block in PAGES[name]:
        if "fragment" in block["marks"]:
            continue
        found = flowlang.check(text=block["text"], registry=REGISTRY)
        codes = {each.code for each in found.findings}
        assert (name in codes) if "wrong" in block["marks"] else (codes == set()), block["text"]


def test_every_page_says_more_than_its_title() -> None:
    """A page explains, and shows what it means."""
    assert [name for name, known in CODES.items() if len(known.page.strip().splitlines()) < 2] == []
