"""`flowlang fmt`: the form it gives, and that nothing else changes.

`formatting/NAME.in.yaml` becomes `formatting/NAME.out.yaml`. After a change that is meant, `FLOWLANG_UPDATE=1 pytest
tests/document/test_formatting.py` writes the second anew; read the difference before committing it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checking import flowgen
from tests.document.layouts import Layout

from flowlang.diagnostics import Span
from flowlang.document.formatting import format_text
from flowlang.document.model import Flow
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.parse import parse_flow
from flowlang.document.source import LIMITS
from flowlang.document.yaml_reader import read_yaml
from flowlang.exceptions import InvalidFlowError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = sorted((HERE / "formatting").glob("*.in.yaml"))
UPDATE = os.environ.get("FLOWLANG_UPDATE") == "1"
FENCE = re.compile(r"^```yaml[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def saying(kind: type) -> tuple[str, ...] | None:
    """The fields of a class of models or nodes that are no places; None for another class."""
    if not is_dataclass(kind):
        return None
    silent = {"source", "start", "stop", "spans", *(["text"] if kind is Flow else [])}
    return tuple(each.name for each in fields(kind) if each.name not in silent)


def meaning(part: Any) -> Any:
    """A model, or a tree of nodes, without its places."""
    if isinstance(part, Scalar):
        return (type(part.value), repr(part.value), part.text)
    if isinstance(part, Span):
        return None
    if isinstance(part, ast.AST):
        return ast.dump(part)
    if (names := saying(type(part))) is not None:
        return [(type(part).__name__, name, meaning(getattr(part, name))) for name in names]
    if isinstance(part, tuple | list):
        return [meaning(each) for each in part]
    return repr(part)


def alike(one: Any, other: Any) -> None:
    if meaning(one) != meaning(other):  # `assert` would spend minutes on showing the difference
        raise AssertionError("the meaning changed")


def tree(text: str | bytes) -> Node | None:
    node, findings = read_yaml(text, "flow.yaml")
    assert findings == []
    return node


def check(text: str) -> str:
    """The text formatted: the same YAML, the same flow, and final."""
    done = format_text(text, "flow.yaml")
    alike(tree(done), tree(text))
    flow, findings = parse_flow(text, "flow.yaml")
    again, same = parse_flow(done, "flow.yaml")
    alike(again, flow)
    assert sorted(each.code for each in same) == sorted(each.code for each in findings)
    assert format_text(done, "flow.yaml") == done
    return done


# ---------------------------------------------------------------- its form


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_canonical_form(path: Path) -> None:
    """What a text becomes, whatever can be written in it."""
    done = check(path.read_text(encoding="utf-8"))
    expected = path.with_name(path.name.replace(".in.", ".out."))
    if UPDATE:
        expected.write_text(done, encoding="utf-8")
    assert done == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("a: 1", "a: 1\n"),
        ("a: |\n  no line feed at the end", "a: |-\n  no line feed at the end\n"),
        ("\ufeffa: 1\r\nb: |\r\n  x\r\n\r\n", "a: 1\r\n\r\nb: |\r\n  x\r\n"),
        ("# only\n\n\n   # comments   \n", "# only\n\n# comments\n"),
        ("", ""),
        ("a: [b, c,]  # d\n", "a: [b, c] # d\n"),
        (f"a: [{'x' * 60}, {'y' * 60}]\n", f"a:\n  - {'x' * 60}\n  - {'y' * 60}\n"),
        (f"a: {{b: {'x' * 130}}}\n", f"a:\n  b: {'x' * 130}\n"),
        ("{a: 1, b: {c: 2}}", "a: 1\nb: {c: 2}\n"),
        ("a:\n- b\n# of the top\nc: 1\n", "a:\n  - b\n\n# of the top\nc: 1\n"),
        ("a:\n - b\n # of the list\nc: 1\n", "a:\n  - b\n  # of the list\n\nc: 1\n"),
        ("a: [x: 1, {y}]\n", "a: [{x: 1}, {y}]\n"),
        ("a: {!!str }\n", 'a: {!!str ""}\n'),
        ("a: &b x\nc: {*b :   2}\n", "a: &b x\nc: {*b : 2}\n"),
    ],
)
def test_small_texts(text: str, done: str) -> None:
    assert format_text(text) == done
    assert format_text(done) == done


@pytest.mark.parametrize(
    "text", ["a: [1\n", "a: 1\na: 2\n", "- a\n", "a: \x07\n", b"a: \xff\n", "x" * (LIMITS.size + 1)]
)
def test_what_is_not_a_flow_file_is_refused_with_its_findings(text: str | bytes) -> None:
    with pytest.raises(InvalidFlowError) as caught:
        format_text(text, "flow.yaml")
    assert [each.code for each in caught.value.findings] == [each.code for each in read_yaml(text, "flow.yaml")[1]]


def test_a_flow_with_mistakes_is_formatted_all_the_same() -> None:
    assert format_text("flow: f\nstep: [ ]") == "flow: f\nstep: []\n"


# ---------------------------------------------------------------- that it changes nothing else


def yaml_texts() -> Iterator[tuple[str, str]]:
    """Every YAML text in the project that can be read."""
    for folder in ("examples", "tests", "src", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".yaml", ".yml"):
                text = path.read_bytes().decode("utf-8", "replace")
                yield path.relative_to(ROOT).as_posix(), text
            elif path.suffix == ".md":
                for number, match in enumerate(FENCE.finditer(path.read_text(encoding="utf-8"))):
                    yield f"{path.relative_to(ROOT)}#{number}", match[1]


@cache
def texts() -> dict[str, str]:
    return {name: text for name, text in yaml_texts() if not read_yaml(text, name)[1]}


@pytest.mark.slow
def test_every_flow_of_the_project_keeps_its_meaning() -> None:
    """Formatting any flow in examples, docs and tests gives the same flow, and is final."""
    assert len(texts()) > 200
    for name, text in texts().items():
        try:
            check(text)
        except AssertionError as error:
            raise AssertionError(name) from error


SHIPPED = [
    path
    for path in (*(ROOT / "examples").rglob("*.yaml"), *(ROOT / "src").rglob("*.yaml"))
    if not path.name.endswith(".service.yaml")
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_flows_we_ship_are_canonical(path: Path) -> None:
    """Run `flowlang fmt examples src` after a change."""
    text = path.read_text(encoding="utf-8")
    assert format_text(text, path.name) == text


LETTERS = st.sampled_from(
    [*"ab01 :#-,[]{}'\"\\&*!|>%@`?~é\n\t ", "${a}", "$${", ": ", " #", "null", "12:30", "\x07", "😀"]
)
STRINGS = st.lists(LETTERS, max_size=8).map("".join) | st.text(max_size=5).filter(
    lambda text: not re.search("[\ud800-\udfff]", text)
)
SCALARS = (
    STRINGS | st.integers() | st.booleans() | st.none() | st.floats(-1e9, 1e9).filter(lambda x: "e" not in repr(x))
)
KEYS = st.sampled_from(["a", "b", "if", "long key", "x: y", "#", "${k}", "é", "no", "7", "-"])
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


RANDOM = st.integers(0, 2**32).map(Random)


def numbers(text: str) -> list[int]:
    """The comments of a random layout, as they are numbered."""
    return [int(each) for each in re.findall(r"#[ !]?<(\d+)>", text)]


def data_of(node: Node | None) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {key.text: data_of(value) for key, value in node.entries}
    return [data_of(each) for each in node.items] if node is not None else None


@pytest.mark.slow
@settings(max_examples=300)
@given(st.dictionaries(KEYS, DATA, min_size=1, max_size=4), RANDOM)
def test_any_data_in_any_layout(data: dict[str, Any], random: Random) -> None:
    """However the same data is written: it stays the same data with the same comments in the same order."""
    layout = Layout(random)
    text = layout.document(data)
    assert data_of(tree(text)) == data, "the layout itself"
    done = check(text)
    assert data_of(tree(done)) == data
    assert numbers(done) == list(range(layout.written))


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 10**6), RANDOM)
def test_random_flows_in_any_layout(seed: int, random: Random) -> None:
    """A generated flow in a random layout is the flow that was generated."""
    plain, _ = flowgen.flow(seed)
    layout = Layout(random)
    done = check(layout.document(data_of(tree(plain))))
    alike(parse_flow(done, "flow.yaml")[0], parse_flow(plain, "flow.yaml")[0])
    assert numbers(done) == list(range(layout.written))


@settings(max_examples=150)
@given(st.deferred(lambda: st.sampled_from(sorted(texts()))), st.data())
def test_changed_texts(name: str, data: st.DataObject) -> None:
    """A few signs put anywhere into a text that exists: refused, or formatted without a loss."""
    text = texts()[name]
    begin = data.draw(st.integers(0, max(0, len(text) - 300)))
    text = text[text.rfind("\n", 0, begin) + 1 :][:400]
    signs = st.sampled_from(
        ["#", " # c\n", "\n\n", " ", '"', "'", "|", "- ", ": ", "[", "{", ",", "&a ", "*a", "\\", "---\n"]
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(signs) + text[at:]
    if not read_yaml(text, "flow.yaml")[1]:
        check(text)
