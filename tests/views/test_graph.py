"""`flowlang graph`: the drawing and the text of a flow, whatever stands in it."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.checking import flowgen
from tests.views.every import every

import flowlang
from flowlang import api
from flowlang.document import model
from flowlang.document.parse import parse_flow
from flowlang.views.graph.layout import layout
from flowlang.views.graph.measure import Box, measured
from flowlang.views.graph.mermaid import label_text, mermaid
from flowlang.views.graph.parts import Drawn, chart
from flowlang.views.graph.shapes import Bar, Card, Drawing, Frame, Label, Line
from flowlang.views.graph.svg import svg

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</title><script>alert(1)</script>",
    '"]; click n1 "javascript:alert(1)"',
    "n1 --> n2; %%{init: {}}%% `**x**`",
    "<img src=x onerror=alert(1)>",
    "]]> & &amp; &#60;b&#62; #lt;",
    "end\\nsubgraph x",
    "\\x07\\e[31m\\u202e red \\u2028",
    "x" * 5000,
    "日本語のとても長い名前" * 40,
]


def parsed(text: str) -> model.Flow:
    flow, _ = parse_flow(text, "flow.yaml")
    assert flow is not None
    return flow


def flows() -> Iterator[tuple[str, Callable[[], model.Flow]]]:
    """Flows by name, each read when it is asked for."""
    yield "every verb", every
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        yield path.stem, lambda path=path: parsed(path.read_text("utf-8"))
    for seed in range(20):
        yield f"generated {seed}", lambda seed=seed: parsed(flowgen.flow(seed, size=8, depth=3)[0])
    yield "empty", lambda: parsed("flow: empty\nsteps:\n  - log: hello\n")


FLOWS = dict(flows())


@cache
def flow_of(name: str) -> model.Flow:
    return FLOWS[name]()


Named = pytest.mark.parametrize("name", FLOWS)


def steps_of(steps: Sequence[model.Step]) -> Iterator[model.Step]:
    for step in steps:
        yield step
        for _, inner in model.blocks(step):
            yield from steps_of(inner)


def drawn(flow: model.Flow) -> Drawing:
    return layout(chart(Drawn(flow, (), "")))


# ---------------------------------------------------------------- the drawing


@Named
def test_the_drawing_is_well_formed_and_holds_every_step_once(name: str) -> None:
    flow = flow_of(name)
    root = ElementTree.fromstring(svg(chart(Drawn(flow, (), ""))))
    keys = [each.get("data-key") for each in root.iter(f"{SVG}g") if each.get("data-place")]
    groups = [each for each in root.iter(f"{SVG}g") if (each.get("class") or "").startswith("frame")]
    keys += [each.get("data-key") for each in groups if "lane" not in (each.get("class") or "").split()]
    wanted = [*steps_of(flow.steps), *steps_of(flow.on_cancel), *steps_of(flow.finally_)]
    assert len(keys) == len(set(keys)) == len(wanted)
    ids = {each.modifiers.id.text for each in wanted if each.modifiers.id is not None}
    assert ids <= {key.rpartition(".")[2].rpartition("/")[2] for key in keys if key}
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None


@Named
def test_no_two_cards_overlap_and_each_frame_holds_whole_things(name: str) -> None:
    """Two shapes are apart, or one lies wholly inside the other; only frames hold anything."""
    shapes = [each for each in drawn(flow_of(name)).shapes if isinstance(each, (Card, Frame))]
    for at, one in enumerate(shapes):
        for other in shapes[at + 1 :]:
            if apart(one, other):
                continue
            outer, inner = (one, other) if holds(one, other) else (other, one)
            assert isinstance(outer, Frame)
            assert holds(outer, inner), (outer, inner)
            assert inner.y >= outer.y + outer.head.height - 5, "it lies on the words of its frame"


def apart(a: Card | Frame, b: Card | Frame) -> bool:
    return a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y


def holds(a: Card | Frame, b: Card | Frame) -> bool:
    return a.x < b.x and a.y < b.y and a.x + a.width > b.x + b.width and a.y + a.height > b.y + b.height


@Named
def test_everything_is_inside_the_page(name: str) -> None:
    page = drawn(flow_of(name))
    for each in page.shapes:
        if isinstance(each, (Card, Frame)):
            assert each.x >= 0
            assert each.y >= 0
            assert each.x + each.width <= page.width + 0.01
            assert each.y + each.height <= page.height + 0.01
        elif isinstance(each, Line):
            assert all(0 <= x <= page.width and 0 <= y <= page.height for x, y in each.points)
        elif isinstance(each, Label):
            assert each.x - each.words.width / 2 >= 0
            assert each.x + each.words.width / 2 <= page.width
        elif isinstance(each, Bar):
            assert 0 <= each.x <= each.x + each.width <= page.width


@Named
def test_no_line_runs_through_a_card_and_none_is_slanted(name: str) -> None:
    shapes = drawn(flow_of(name)).shapes
    cards = [each for each in shapes if isinstance(each, Card)]
    for line in (each for each in shapes if isinstance(each, Line)):
        for (x, y), (u, v) in zip(line.points, line.points[1:], strict=False):
            assert abs(x - u) < 0.01 or abs(y - v) < 0.01
            left, right, top, bottom = min(x, u), max(x, u), min(y, v), max(y, v)
            for card in cards:
                crossed = left < card.x + card.width - 1 and right > card.x + 1
                assert not (crossed and top < card.y + card.height - 1 and bottom > card.y + 1), (line, card)


@Named
def test_labels_keep_off_each_other(name: str) -> None:
    labels = [each for each in drawn(flow_of(name)).shapes if isinstance(each, Label)]
    for at, one in enumerate(labels):
        for other in labels[at + 1 :]:
            across = abs(one.x - other.x) >= (one.words.width + other.words.width) / 2 + 8
            down = abs(one.y - other.y) >= (one.words.height + other.words.height) / 2
            assert across or down, (one, other)


def test_the_same_flow_gives_the_same_drawing() -> None:
    assert svg(chart(Drawn(every(), (), ""))) == svg(chart(Drawn(every(), (), "")))
    assert mermaid(chart(Drawn(every(), (), ""))) == mermaid(chart(Drawn(every(), (), "")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text: str) -> None:
    """Wherever a flow can say something, it adds no element, attribute, line or character of its own."""
    quoted = '"' + text.replace('"', '\\"') + '"' if "\\" in text else "'" + text.replace("'", "''") + "'"
    flow = parsed(
        f"flow: {quoted}\ndescription: {quoted}\nsteps:\n  - log: {quoted}\n    description: {quoted}\n"
        f"  - switch: {quoted}\n    cases: [{{when: {quoted}, do: [{{raise: {{message: {quoted}}}}}]}}]\n"
        f"  - exit: {{reason: {quoted}}}\n"
    )
    plain = svg(chart(Drawn(parsed(re.sub("|".join(map(re.escape, [quoted])), lambda _: "x", flow.text)), (), "")))
    made = svg(chart(Drawn(flow, (), "")))
    one, other = ElementTree.fromstring(made), ElementTree.fromstring(plain)
    allowed = set("svg title desc style defs marker path rect g text circle".split())
    for each in one.iter():
        assert each.tag.removeprefix(SVG) in allowed
        assert not [name for name in each.attrib if name.startswith("on") or "href" in name]
    assert len([*one.iter(f"{SVG}g")]) == len([*other.iter(f"{SVG}g")])
    assert all(each.isprintable() or each in "\n\t" for each in made)
    lines = mermaid(chart(Drawn(flow, (), ""))).splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []


LABEL = r'"(?:[^"<>`&;#\[\]{}|%$\\]|#\d+;|<br/>)*"'
LINE = re.compile(
    rf"flowchart TD| *(?:n\d+(?:\[|\(\[|\[\[|\{{|\{{\{{){LABEL}(?:\]|\]\)|\]\]|\}}|\}}\}})|"
    rf"n\d+ (?:-->|-\.->)(?:\|{LABEL}\|)? n\d+|subgraph n\d+\[{LABEL}\]|end|class [n\d,]+ \w+|"
    rf"classDef \w+ [\w:#,-]+)"
)


@Named
def test_the_text_has_only_lines_of_the_grammar_and_links_that_exist(name: str) -> None:
    lines = mermaid(chart(Drawn(flow_of(name), (), ""))).splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    nodes = {found[1] for line in lines if (found := re.match(r" *(n\d+)[\[({]", line))}
    ends = [found.groups() for line in lines if (found := re.match(r" *(n\d+) -.* (n\d+)$", line))]
    assert {each for pair in ends for each in pair} <= nodes
    assert sum(line.strip().startswith("subgraph ") for line in lines) == sum(line.strip() == "end" for line in lines)


def test_a_label_keeps_letters_and_writes_the_rest_by_its_code() -> None:
    assert label_text(["naïve 日本", 'a"b', "c<d>"]) == "naïve 日本<br/>a#34;b<br/>c#60;d#62;"


def test_a_drawing_takes_as_much_more_work_as_there_is_more_to_draw() -> None:
    """Four times the steps, four times the calls of functions; no clock is needed to see that."""

    def calls(count: int) -> int:
        text, _ = flowgen.flow(1, size=1)
        steps = "".join(
            f"  - if: inputs.n > {at}\n    then: [{{log: '{at}'}}]\n    else: [{{set: {{v: 1}}, id: s{at}}}]\n"
            for at in range(count)
        )
        flow = parsed(f"{text.split('steps:')[0]}steps:\n{steps}")
        counted = 0

        def count_one(frame: object, event: str, argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        before = sys.getprofile()
        sys.setprofile(count_one)
        try:
            svg(chart(Drawn(flow, (), "")))
        finally:
            sys.setprofile(before)
        return counted

    small, large = calls(84), calls(336)
    assert large < 4.4 * small


def test_a_thousand_steps_are_drawn(tmp_path: Path) -> None:
    steps = "".join(f"  - log: step {at}\n" for at in range(1000))
    flow = parsed(f"flow: long\nsteps:\n{steps}")
    made = svg(chart(Drawn(flow, (), "")))
    assert made.count('class="card log"') == 1000


# ---------------------------------------------------------------- secrets, subflows, connections

SECRET = "hunter2-secret"
HOLDING = f"""
flow: holding
inputs:
  - {{name: word, type: string, secret: true, default: {SECRET}}}
steps:
  - if: inputs.word == '{SECRET}'
    then: [{{log: "it is {SECRET}"}}]
  - exit: {{reason: "{SECRET}"}}
"""


def test_a_known_secret_is_in_no_picture() -> None:
    """Also one that the flow's author wrote into a condition or a message."""
    made = api.chart(api.check(text=HOLDING, file="holding.yaml"))
    assert SECRET not in svg(made) + mermaid(made)
    assert "inputs.word == " in svg(made)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    (tmp_path / "outer.yaml").write_text(
        "flow: outer\nconnections:\n  db: {type: sqlite, database: ':memory:'}\nsteps:\n"
        "  - sqlite_query: {id: q, query: SELECT 1}\n  - subflow: middle\n    id: m\n"
    )
    (tmp_path / "middle.yaml").write_text("flow: middle\nsteps:\n  - subflow: inner.yaml\n    id: i\n")
    (tmp_path / "inner.yaml").write_text("flow: inner\nsteps:\n  - log: deep down\n")
    return tmp_path


@pytest.mark.parametrize(("depth", "seen"), [(0, []), (1, ["middle"]), (2, ["middle", "deep down"])])
def test_subflows_are_drawn_out_as_deep_as_asked(family: Path, depth: int, seen: list[str]) -> None:
    made = svg(api.chart(api.check(family / "outer.yaml"), depth=depth))
    assert ("deep down" in made) is ("deep down" in seen)
    assert made.count('class="frame subflow"') == depth


def test_a_step_has_the_badge_of_its_connection_also_when_it_names_none(family: Path) -> None:
    made = svg(api.chart(api.check(family / "outer.yaml")))
    assert "<title>db: sqlite</title>" in made
    assert re.search(r'class="card task hue0" data-key="q"', made)


def test_a_handler_is_reached_by_a_dashed_line() -> None:
    flow = parsed("flow: f\nsteps:\n  - set: {a: 1}\n    on_error: [{log: oh}]\n  - log: on\n")
    lines = [each for each in drawn(flow).shapes if isinstance(each, Line)]
    assert [each.how for each in lines].count("error") == 2


def test_nothing_leads_on_from_a_step_that_ends_the_flow() -> None:
    ends = parsed("flow: f\nsteps:\n  - if: 1 > 2\n    then: [{exit: {}}]\n    else: [{raise: {message: no}}]\n")
    text = mermaid(chart(Drawn(ends, (), "")))
    assert "outputs" not in text
    box: Box = measured(chart(Drawn(ends, (), "")).main.parts[1])
    assert box.ends


def test_numbers_of_a_random_order_do_not_matter() -> None:
    """The drawing does not depend on what was drawn before."""
    names = list(FLOWS)
    random.Random(7).shuffle(names)
    first = {name: svg(chart(Drawn(flow_of(name), (), ""))) for name in names}
    assert first == {name: svg(chart(Drawn(flow_of(name), (), ""))) for name in FLOWS}


def test_a_flow_with_errors_says_so_instead(tmp_path: Path) -> None:
    checked = flowlang.check(text="flow: f\nstep: []\n", file=str(tmp_path / "f.yaml"))
    assert checked.plan is None


def test_modifiers_are_said(tmp_path: Path) -> None:
    made = svg(chart(Drawn(replace(every()), (), "")))
    for words in ("retry 3×", "timeout 10 s", "continue on error", "if inputs.tier != 'x'", "wait", "until", "while"):
        assert words in made
