"""Places inside scalars: each character of a value is found where it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.diagnostics import Position
from flowlang.document.nodes import Mapping, Scalar
from flowlang.document.yaml_reader import read_yaml

from .helpers import scalar

PIECES = ["a", "b", " ", "  ", "\n", "\n ", "\n  ", "\n    ", "\n\n", "\t", ":", "#x", "''", "\\n", "\\\n", "\\x41"]
PIECES += ["é", "😀", "${x}", " \n", "\\\n \n", "-", "\\u00e9", "\\ ", "\\t"]
HEADERS = ["|", "|-", "|+", ">", ">-", ">+", "|2", ">1", "|2-", ">2+", "| # note"]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A mapping with one scalar of any style, and sometimes a key after it."""
    body = "".join(draw(st.lists(st.sampled_from(PIECES), max_size=10)))
    style = draw(st.sampled_from(["plain", "single", "double", "block"]))
    if style == "plain":
        text = f"a: x{body}y\n"
    elif style == "single":
        text = f"a: '{body}'\n"
    elif style == "double":
        text = f'a: "{body}"\n'
    else:
        rows = "".join(f"  {row}\n" for row in body.split("\n"))
        text = f"a: {draw(st.sampled_from(HEADERS))}\n{rows}"
    text += draw(st.sampled_from(["", "z: 1\n"]))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text


@settings(max_examples=600)
@given(documents())
def test_each_character_is_where_it_is_written(text: str) -> None:
    """A character of the value stands at its place in the file, except where an escape or a fold made it."""
    node, findings = read_yaml(text, "flow.yaml")
    if findings or not isinstance(node, Mapping):
        return
    value = node.get("a")
    if not isinstance(value, Scalar):
        return
    rows = text.split("\n")
    previous = Position(1, 1)
    for index, character in enumerate(value.text):
        span = value.locate(index, index + 1)
        assert previous <= span.start < span.end
        previous = span.end
        row = rows[span.start.line - 1]
        written = row[span.start.column - 1 : span.start.column]
        if written == character:
            continue
        folded = character in " \n" and not written.strip()
        escaped = written == "\\" and value.style == "double"
        assert folded or escaped, (index, character, written)


@settings(max_examples=100)
@given(documents(), st.integers(-5, 30), st.integers(-5, 30))
def test_any_offsets_give_a_place(text: str, start: int, end: int) -> None:
    """Offsets outside the value are moved to its ends, and never raise."""
    node, _ = read_yaml(text, "flow.yaml")
    value = node.get("a") if isinstance(node, Mapping) else None
    if isinstance(value, Scalar):
        span = value.locate(start, end)
        assert Position(1, 1) <= span.start <= span.end


@pytest.mark.parametrize(
    ("text", "part", "start", "end"),
    [
        ("a: one ${x}\n", "${x}", "1:8", "1:12"),
        ("a: 'it''s ${x}'\n", "${x}", "1:11", "1:15"),
        ('a: "\\u0041\\n${x}"\n', "${x}", "1:13", "1:17"),
        ('a: "one \\\n   ${x}"\n', "${x}", "2:4", "2:8"),
        ("a: one\n  two\n\n  ${x}\n", "${x}", "4:3", "4:7"),
        ("a: |\n  one\n    ${x}\n", "${x}", "3:5", "3:9"),
        ("a: >-\n  one\n  two ${x}\n\n\n  three\n", "${x}", "3:7", "3:11"),
        ("a: >-\n  one\n  two\n\n\n  ${x}\n", "${x}", "6:3", "6:7"),
        ("a: >\n  one\n    kept\n  ${x}\n", "${x}", "4:3", "4:7"),
        ("a: |1-\n   ${x}\n", "${x}", "2:4", "2:8"),
        ("b: 1\na: &n '😀${x}'\n", "${x}", "2:9", "2:13"),
        ("a: |+\r\n  one\r\n  ${x}\r\n\r\n", "${x}", "3:3", "3:7"),
        ("a: 'one\n\n  ${x}'\n", "${x}", "3:3", "3:7"),
    ],
)
def test_places_of_an_expression(text: str, part: str, start: str, end: str) -> None:
    """An expression in a scalar of any style is shown where it is written."""
    value = scalar(text)
    index = value.text.index(part)
    span = value.locate(index, index + len(part))
    assert (str(span.start), str(span.end)) == (start, end)


def test_places_of_many_parts_of_one_scalar() -> None:
    """A large scalar is mapped once, not once a question."""
    value = scalar("a: |\n" + "  x ${y} ''\n" * 20_000)
    for index in range(0, 500, 10):
        assert value.locate(index, index + 1).start.line == value.text.count("\n", 0, index) + 2
    offsets = value.offsets
    assert offsets is not None
    value.locate(len(value.text) - 1, len(value.text))
    assert value.offsets is offsets
