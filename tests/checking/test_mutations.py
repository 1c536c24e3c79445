"""One slip in a valid flow, of a file or a page: is it found, where it was made, and does the first suggestion undo it?

Slips are typos in words that mean something to the check, lines that are missing, and lines moved by one column. A
slip that leaves the same data, or that no checker could see (a typo in text, a key of an object of unknown type), is
none. The figures stand at the end of the test run.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests.checking.plugins import registry

import flowlang
from flowlang.connections import plugin_registry
from flowlang.diagnostics import Diagnostic
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.document.yaml_reader import read_yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLOWS = [
    *sorted((HERE / "valid").glob("*.yaml")),
    *sorted(
        each
        for each in (ROOT / "examples").rglob("*.yaml")
        if not each.name.endswith((".test.yaml", ".service.yaml"))
        and each.parent.name != "plugin"  # its plugin is not installed here
    ),
    *sorted((ROOT / "src/flowlang/connections").glob("*/example.yaml")),
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```yaml(?P<marks>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
REGISTRY = registry()
OURS = re.compile(
    rf"\btype: ({'|'.join(set(REGISTRY.names()) - set(plugin_registry.names()))})\b"
)  # types of the tests
Record = Callable[[str, object], None]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Flow:
    """A valid flow. `slips` is how many typos are tried in it."""

    name: str
    text: str
    file: str
    slips: int = 14


@cache
def flows(corpus: str) -> list[Flow]:
    """`files`: the flows that lie in files; `pages`: those shown in the documentation, unless they need other files."""
    if corpus == "files":
        return [Flow(path.name, path.read_text(encoding="utf-8"), str(path)) for path in FLOWS]
    found: dict[str, Flow] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            if not {"wrong", "fragment"} & {*block["marks"].split()}:
                line = text.count("\n", 0, block.start()) + 1
                found.setdefault(block["text"], Flow(f"{page.name}:{line}", block["text"], str(page), 6))
    return [each for each in found.values() if not found_in(each.text, each.file)]


@dataclass(frozen=True, slots=True)
class Slip:
    """`line` (from 1) is where it was made, `word` what was there."""

    text: str
    line: int
    word: str
    written: str = ""


# ---------------------------------------------------------------- words that mean something

# What stands below these is named by the author, or is data.
_FREE = {"set", "vars", "connections", "properties", "default", "value", "data", "collect", "enum", "plugins", "entry"}
_FREE |= {"options", "params", "outputs", "words", "auth", "inputs", "types", "more", "whatever", "you", "tags"}
_FREE |= {"filter", "update", "keys", "pipeline", "sort", "projection", "operations", "document", "documents"}
_LISTS = {"outputs", "inputs", "enum", "params", "tags", "pipeline", "operations", "documents"}  # of no steps
_NAMED = {"connection", "task"}  # their values name something
_UNTYPED = re.compile(r"\b(?:got|api|r|x|g|item|order|line|row|note|one|each)\.")
_EXPRESSION = re.compile(r"\$\{(.*?)\}")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_WORD = re.compile(r"(?<![\w.$])[A-Za-z_]\w{3,}")
_ROOTED = re.compile(r"(?<![\w.])(?:inputs|vars|run|error)\.([A-Za-z_]\w{3,})")
_KEYWORDS = {"true", "false", "null", "none", "else", "then"}


def words(node: Node, free: bool = False) -> Iterator[tuple[int, str]]:
    """The start and text of each key, name and part of an expression that the check knows."""
    if isinstance(node, Mapping):
        for key, value in node.entries:
            if not free and len(key.text) > 3 and key.style == "plain" and key.text not in ("elif", "args"):
                yield key.start, key.text
            if key.text in _NAMED and isinstance(value, Scalar) and value.style == "plain" and not free:
                yield value.start, value.text
            steps = isinstance(value, Sequence) and key.text not in _LISTS
            yield from words(value, free=(free or key.text in _FREE) and not steps)
    elif isinstance(node, Sequence):
        for each in node.items:
            yield from words(each, free=free)
    elif isinstance(node.value, str) and node.style in ("plain", "double") and "\\" not in node.raw:
        yield from parts(node)


def parts(scalar: Scalar) -> Iterator[tuple[int, str]]:
    """Roots, functions, and keys right below `inputs`, `vars` and their like, in expressions."""
    for match in _EXPRESSION.finditer(scalar.raw):
        source = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), match[1])
        if " for " in source:
            continue
        for word in (*_WORD.finditer(source), *_ROOTED.finditer(source)):
            name = word[word.lastindex or 0]
            if name not in _KEYWORDS and not _UNTYPED.search(source):
                yield scalar.start + match.start(1) + word.start(word.lastindex or 0), name


# ---------------------------------------------------------------- slips


def typo(word: str, dice: random.Random) -> str:
    """`word` with one letter left out, doubled, changed, or two in the wrong order."""
    at = dice.randrange(1, len(word))
    kind = dice.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    return word[:at] + dice.choice(LETTERS) + word[at + 1 :]


def typos(text: str, dice: random.Random, most: int) -> Iterator[Slip]:
    node, _ = read_yaml(text, "")
    assert node is not None
    found = sorted(set(words(node)))
    for start, word in dice.sample(found, min(most, len(found))):
        assert text[start : start + len(word)] == word
        written = typo(word, dice)
        known = {each for _, each in found}
        if written != word and written not in known:
            line = text.count("\n", 0, start) + 1
            yield Slip(text[:start] + written + text[start + len(word) :], line, word, written)


_NEEDED = re.compile(
    r"\s*(?:- )?(flow|steps|then|do|query|type|name|value|for_each|switch|cases|when|subflow|task|id):"
)


def deletions(text: str, dice: random.Random, most: int) -> Iterator[Slip]:
    """A line that the flow cannot do without is gone."""
    lines = text.split("\n")
    data = plain(text)
    choices = []
    for number, line in enumerate(lines):
        match = _NEEDED.match(line)
        if match is None or "{" in line and not line.lstrip("- ").startswith(match[1] + ":"):
            continue
        name = line.partition(":")[2].strip()
        if match[1] == "id" and not any(re.search(rf"\b{re.escape(name)}\.", each) for each in lines):
            continue
        if match[1] in ("type", "name") and "description" in text and line.startswith("    "):
            continue  # of an input: optional, or its list item goes with it
        choices.append((number, name))
    for number, name in dice.sample(choices, min(most, 4, len(choices))):
        mutated = "\n".join(lines[:number] + lines[number + 1 :])
        if plain(mutated) != data:
            yield Slip(mutated, number + 1, name)


def indentations(text: str, dice: random.Random, most: int) -> Iterator[Slip]:
    """A line stands one column further left or right."""
    lines = text.split("\n")
    data = plain(text)
    choices = [
        number for number, line in enumerate(lines) if line.startswith(" ") and line.lstrip()[:1] not in ("#", "")
    ]
    for number in dice.sample(choices, min(most, 4, len(choices))):
        moved = f" {lines[number]}" if dice.random() < 0.5 else lines[number][1:]
        mutated = "\n".join([*lines[:number], moved, *lines[number + 1 :]])
        if plain(mutated) != data and "|" not in "".join(lines[max(0, number - 8) : number]):
            yield Slip(mutated, number + 1, lines[number].strip())


def plain(text: str) -> object:
    """What a text means as YAML; its problems when it means nothing."""
    node, problems = read_yaml(text, "")
    return [str(each) for each in problems] if problems or node is None else data_of(node)


def data_of(node: Node) -> object:
    if isinstance(node, Mapping):
        return {key.text: data_of(value) for key, value in node.entries}
    return [data_of(each) for each in node.items] if isinstance(node, Sequence) else node.value


# ---------------------------------------------------------------- the measure


def around(text: str, line: int) -> tuple[int, int]:
    """The lines of the block that a line stands in: from its parent to the end of it."""
    lines = text.split("\n")
    indents = [len(each) - len(each.lstrip(" -")) for each in lines]
    own = indents[min(line, len(lines)) - 1]
    first = next((n for n in range(line - 2, -1, -1) if lines[n].strip() and indents[n] < own), 0)
    last = next((n for n in range(line, len(lines)) if lines[n].strip() and indents[n] <= indents[first]), len(lines))
    return first + 1, max(last, line) + 1


def seen(slip: Slip, findings: list[Diagnostic]) -> list[Diagnostic]:
    """The findings at the changed place, or where what was changed is used."""
    lines = slip.text.split("\n")
    if slip.written:
        uses = {number for number, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(slip.word)}\b", line)}
        return [each for each in findings if each.span.start.line in uses | {slip.line}]
    first, last = around(slip.text, slip.line)
    name = re.escape(slip.word) if slip.word.isidentifier() else None
    uses = {number for number, line in enumerate(lines, 1) if name and re.search(rf"\b{name}\b", line)}
    return [
        each
        for each in findings
        if each.span.start.line in uses or (each.span.start.line <= last and each.span.end.line >= first)
    ]


def restores(slip: Slip, found: list[Diagnostic]) -> bool:
    """Whether the first suggestion is the word as it was, or at a use of it the word as it is now."""
    first = next((each for each in found if each.suggestion), None)
    if first is None or first.suggestion is None:
        return False
    return any(re.search(rf"\b{re.escape(word)}\b", first.suggestion) for word in (slip.word, slip.written))


def found_in(text: str, file: str) -> list[Diagnostic]:
    return flowlang.check(text=text, file=file, registry=REGISTRY if OURS.search(text) else None).findings


@cache
def measured(corpus: str, kind: str) -> tuple[int, list[str], list[str]]:
    """How many slips were made, those not seen, and those not undone by the first suggestion."""
    count, unseen, unrestored = 0, [], []
    makers = {"typo": typos, "deletion": deletions, "indentation": indentations}
    for flow in flows(corpus):
        dice = random.Random(f"{flow.name.partition(':')[0]} {kind}")
        for slip in makers[kind](flow.text, dice, flow.slips):
            count += 1
            findings = found_in(slip.text, flow.file)
            found = seen(slip, findings)
            messages = [each.message for each in findings]
            told = f"{flow.name}:{slip.line}: `{slip.word}` → `{slip.written}`: {messages}"
            if not found:
                unseen.append(told)
            elif not restores(slip, found):
                unrestored.append(told)
    return count, unseen, unrestored


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["files", "pages"])
@pytest.mark.parametrize("kind", ["typo", "deletion", "indentation"])
def test_a_slip_is_found_where_it_was_made(kind: str, corpus: str, record_property: Record) -> None:
    """At least 95 of 100 slips give a finding at the changed place or at its first use."""
    count, unseen, _ = measured(corpus, kind)
    record_property(
        "figure", f"mutations in {corpus}, {kind}: {count - len(unseen)} of {count} found where they were made"
    )
    assert count > 60
    assert len(unseen) <= 0.05 * count, "\n".join(unseen)


@pytest.mark.parametrize("corpus", ["files", "pages"])
def test_the_first_suggestion_undoes_a_typo(corpus: str, record_property: Record) -> None:
    """At least 95 of 100 typos that are found are undone by the first suggestion."""
    count, unseen, unrestored = measured(corpus, "typo")
    found = count - len(unseen)
    record_property(
        "figure", f"mutations in {corpus}, typo: {found - len(unrestored)} of {found} undone by the first suggestion"
    )
    assert len(unrestored) <= 0.05 * found, "\n".join(unrestored)
