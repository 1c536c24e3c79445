"""Any text ends in a flow or in findings, never in an exception."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.diagnostics import has_errors, render
from flowlang.document.parse import parse_flow

SEEDS = [path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "valid").glob("*.yaml"))]
SIGNS = [
    *" \n\t:-[]{}'\"#&*!|>%@`$,?~0.a",
    "${",
    "}",
    ": ",
    " #",
    "- ",
    "\r\n",
    "<<: ",
    "é",
    "😀",
    "\u2028",
    "\0",
    "&a ",
    "*a",
]


def survives(text: str | bytes) -> None:
    flow, findings = parse_flow(text, "flow.yaml")
    shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
    assert flow is not None or has_errors(findings)
    lines = shown.removeprefix("\ufeff").split("\n")
    for each in findings:
        assert render(each, shown)
        assert 1 <= each.span.start.line <= len(lines) + 1
        assert each.span.start <= each.span.end


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Random bytes."""
    survives(data)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(SIGNS), max_size=60).map("".join))
def test_yaml_like_text(text: str) -> None:
    """Random text of the characters that mean something in YAML."""
    survives(text)


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A valid flow with a few characters removed, doubled, replaced or put in, or lines moved."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(text) - 1)))
        length = draw(st.sampled_from([0, 1, 1, 2, 8, 40]))
        text = text[:at] + draw(st.sampled_from(["", *SIGNS])) + text[at + length :]
    return text


@settings(max_examples=250)
@given(mutants())
def test_mutants_of_valid_flows(text: str) -> None:
    """Valid flows, spoilt here and there."""
    survives(text)


WORDS = ["task", "set", "if", "then", "elif", "else", "switch", "cases", "when", "do", "default", "for_each", "as"]
WORDS += ["parallel", "subflow", "exit", "raise", "log", "id", "retry", "on_error", "inputs", "outputs", "timeout"]
WORDS += ["any", "all", "none", "name", "type", "value", "while", "wait", "x", "enum", "items"]
WORDS += ["properties", "pattern"]
LEAVES = st.sampled_from(
    ["", "x", "${x}", "5", "true", "null", "5s", "'a'", "fetch-user", "string", "(", "${", "array"]
)
PLACES = ["flow", "steps", "inputs", "outputs", "connections", "defaults", "vars"]
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(_quoted(each) for each in items) + "]"),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=4).map(
            lambda entries: "{" + ", ".join(f"{key}: {_quoted(each)}" for key, each in entries.items()) + "}"
        ),
    ),
    max_leaves=12,
)


def _quoted(text: str) -> str:
    return f'"{text}"' if "$" in text and text[0] not in "[{" else text or "null"


@settings(max_examples=250)
@given(st.dictionaries(st.sampled_from(PLACES), TREES))
def test_any_tree_under_the_words_of_the_language(trees: dict[str, str]) -> None:
    """Well-formed YAML in which every word of the language may stand anywhere."""
    survives("".join(f"{key}: {_quoted(text)}\n" for key, text in trees.items()))
