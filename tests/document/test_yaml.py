"""Reading YAML: values, positions, bounds, and texts made to hurt."""

from __future__ import annotations

import math

import pytest
import yaml

from flowlang.diagnostics import Position
from flowlang.document import yaml_reader
from flowlang.document.nodes import Mapping, Scalar, Sequence
from flowlang.document.yaml_reader import read_yaml

from .helpers import codes_of, plain, read, scalar


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", None),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        ("007", "007"),
        ("-012", "-012"),
        ("0123.5", "0123.5"),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("1e", "1e"),
        (".", "."),
        ("nul", "nul"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ('!!int "12"', 12),
        ("!!float 1", 1.0),
        ("! 12", "12"),
        ("!!null", None),
        ("&x 12", 12),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(written: str, value: object) -> None:
    """The core schema of YAML 1.2 decides what a scalar is, leading zeros excepted."""
    found = scalar(f"a: {written}\n").value
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    """`.nan` is a number that is no number."""
    value = scalar("a: .nan\n").value
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("prefix", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_positions_count_characters(prefix: str, newline: str, as_bytes: bool) -> None:
    """Lines and columns count characters from 1, whatever the encoding, line ends and byte order mark."""
    text = prefix + newline.join(["# é😀", "a: é😀 b", "b:", "  - {x: '😀', y: 1}", "  - z: 2", ""])
    node = read(text.encode() if as_bytes else text)
    items = node.get("b")
    assert isinstance(items, Sequence)
    first, second = items.items
    assert isinstance(first, Mapping)
    assert isinstance(second, Mapping)
    assert str(node.span.start) == "2:1"
    assert (str(node.entries[0][1].span.start), str(node.entries[0][1].span.end)) == ("2:4", "2:8")
    assert (str(items.span.start), str(items.span.end)) == ("4:3", "5:9")
    assert (str(first.span.start), str(first.span.end)) == ("4:5", "4:19")
    key, value = first.entries[1]
    assert (str(key.span.start), str(value.span.start)) == ("4:14", "4:17")
    assert second.span.end == Position(5, 9)


def test_a_block_scalar_ends_with_its_text() -> None:
    """The span of a block scalar, and of what ends with it, leaves out the blank lines after it."""
    node = read("a:\n  b: |\n    one\n    two\n\n\nc: 1\n")
    inner = node.get("a")
    assert isinstance(inner, Mapping)
    assert inner.span.end == Position(4, 8)
    assert inner.entries[0][1].span.end == Position(4, 8)


def test_aliases_repeat_the_node() -> None:
    """An alias gives what the anchor marked, with the place of the anchor."""
    node = read("a: &x [1, &y {b: 2}]\nc: *x\nd: *y\n*s: 1\n".replace("*s: 1\n", ""))
    assert plain(node) == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": {"b": 2}}
    assert node.entries[1][1].span == node.entries[0][1].span


def test_properties_before_a_scalar_are_not_part_of_it() -> None:
    """A scalar with an anchor or tag begins behind them, on another line, too."""
    node = read("a: &x !!str 'b'\nc: !!str # why\n  12\nd: &e\n")
    places = [str(value.span.start) for _, value in node.entries]
    assert places == ["1:13", "3:3", "4:6"]
    assert plain(node) == {"a": "b", "c": "12", "d": None}


# ---------------------------------------------------------------- bounds


def test_depth_is_bounded() -> None:
    """64 levels are read, 65 are refused, and so are 100,000."""
    assert codes_of("a: " + "[" * 63 + "]" * 63) == []
    assert codes_of("a: " + "[" * 64 + "]" * 64) == ["file-limit"]
    assert codes_of("a: " + "[" * 100_000) == ["file-limit"]
    assert codes_of("a: " + "{a: " * 100_000) == ["file-limit"]
    assert codes_of("- " * 100_000) == ["file-limit"]
    assert codes_of("? " * 100_000) == ["file-limit"]


def test_depth_counts_through_aliases() -> None:
    """What an alias repeats is as deep as if it were written out."""
    text = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 23 + "*a" + "]" * 23 + "\n"
    assert codes_of(text) == []
    assert codes_of(text.replace("b: ", "b: [").replace("*a", "*a]")) == ["file-limit"]


def test_size_is_bounded() -> None:
    """A file of more than 1 MiB is refused by its bytes, not its characters."""
    assert codes_of("a: '" + "x" * (10 * 1024 * 1024) + "'") == ["file-limit"]
    assert codes_of("a: '" + "é" * 600_000 + "'") == ["file-limit"]
    assert codes_of(b"a: '" + b"x" * (1024 * 1024) + b"'") == ["file-limit"]
    assert codes_of("a: '" + "x" * (1024 * 1024 - 5) + "'") == []


def test_number_of_nodes_is_bounded() -> None:
    """100,000 values are read and not one more, keys and collections counted."""
    assert codes_of("a: [" + "1," * 99_997 + "]") == []
    assert codes_of("a: [" + "1," * 99_998 + "]") == ["file-limit"]


@pytest.mark.parametrize("style", ["flow", "block"])
def test_alias_bomb(style: str) -> None:
    """Aliases count as what they repeat, so a small file cannot grow to millions of values."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    for number in range(1, 12):
        earlier = f"*a{number - 1}"
        items = f"[{','.join([earlier] * 10)}]" if style == "flow" else f"\n  - {earlier}" * 10
        lines.append(f"a{number}: &a{number} {items}")
    assert codes_of("\n".join(lines)) == ["file-limit"]


def test_many_duplicates_are_bounded() -> None:
    """A file of nothing but mistakes gets a bounded number of findings."""
    assert 50 <= len(codes_of("a: 1\n" * 50_000)) <= 200


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "${x}, " * 100_000 + "]",
        "a: b: c\n" * 50_000,
        "a: '" + " " * 1_000_000 + "\n",
        'a: "' + "\\n" * 500_000,
        "a: " + "&a " * 300_000,
        "a: " + "*a " * 300_000,
        "\t" * 1_000_000,
        "a: |\n" + "  x\n" * 200_000 + " y",
        "a: ${" + "(" * 500_000,
        "a: ${x # " + "}" * 500_000,
        "{" * 1_000_000,
        "a: " + "'" * 1_000_000,
        ("a" * 2000 + "\n") * 500,
        "".join(f"  {' ' * (number % 50)}k{number}: 1\n" for number in range(30_000)),
        "%" * 1_000_000,
        "!" * 1_000_000,
        "a: !" + "x" * 1_000_000,
        "? a\n" * 200_000,
    ],
    ids=range(18),
)
def test_hostile_text_ends_in_findings(text: str) -> None:
    """Long texts of one kind of trouble are read or refused in bounded work."""
    node, findings = read_yaml(text, "flow.yaml")
    assert node is not None or findings


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_named(encoding: str) -> None:
    """UTF-16 and UTF-32 are refused as what they are, with and without a mark."""
    _, findings = read_yaml("flow: F\n".encode(encoding), "flow.yaml")
    assert [each.code for each in findings] == ["not-utf-8"]
    assert "UTF-16" in findings[0].message


@pytest.mark.parametrize(
    "character", ["\0", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ufeff", "\r"]
)
def test_deceiving_characters_are_refused(character: str) -> None:
    """Characters that are not seen are refused wherever they stand, with their place."""
    for text in (f"a: x{character}y\n", f"# x{character}y\na: 1\n", f"a: 'x{character}y'\n"):
        _, findings = read_yaml(text, "flow.yaml")
        assert [each.code for each in findings] == ["hidden-character"]
        assert findings[0].span.start.column == text.index(character) + 1


def test_lone_surrogates_are_refused() -> None:
    """A text that is no Unicode text is a finding, not an exception."""
    assert codes_of("a: \ud800\n") == ["hidden-character"]


def test_ordinary_unicode_is_welcome() -> None:
    """Letters of any alphabet, emoji with joiners, and marks of direction that change nothing are text."""
    assert scalar("a: שלום \u200f👩\u200d👧 ёлка\n").value == "שלום \u200f👩\u200d👧 ёлка"


# ---------------------------------------------------------------- without the C parser


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, {c: 'd'}]\n",
        "a: [${x}]\n",
        "steps:\n  - get:\n      id: f\n     connection: api\n",
        "a: 'unclosed\nb: 2\n",
        "a: b: c\n",
        "a:1\nb: 2\n",
        "a: 1\nb:2\nc: 3\n",
        "a: @x\n",
        "a: [1}\n",
        "a:\n\tb: 1\n",
        "a: 'x' y\n",
        "- a\nb: 1\n",
        "a: - b\n",
        "a: *.csv\n",
        "a: |x\n b\n",
    ],
)
def test_the_pure_parser_says_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML has no C parser, values, places and findings are the same."""
    node, findings = read_yaml(text, "flow.yaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    slow_node, slow_findings = yaml_reader.read_yaml(text, "flow.yaml")
    said = [(each.code, each.span.start, each.message) for each in findings]
    assert [(each.code, each.span.start, each.message) for each in slow_findings] == said
    assert (node is None) == (slow_node is None)
    if node is not None and slow_node is not None:
        assert plain(slow_node) == plain(node)
        assert slow_node.span == node.span


def test_no_finding_shows_a_literal_secret() -> None:
    """A value whose key sounds secret is not repeated in the help."""
    for text in ("password: @hunter22\n", "db: {api_key: a${x}hunter22}\n", "token: hunter22: x\n"):
        for each in read_yaml(text, "flow.yaml")[1]:
            assert "hunter22" not in f"{each.message} {each.suggestion} {each.notes}"


def test_node_lookup() -> None:
    """A mapping finds a value and a key by text."""
    node = read("a: 1\nb: 2\n")
    value, key = node.get("b"), node.key("b")
    assert isinstance(value, Scalar)
    assert value.value == 2
    assert key is not None
    assert key.span.start == Position(2, 1)
    assert node.get("c") is None
