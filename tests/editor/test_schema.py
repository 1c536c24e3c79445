"""`flowlang schema`: what the schema lets through and refuses, and that it keeps up with the language."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.checking.plugins import registry

from flowlang import editing
from flowlang.connections import PluginRegistry, plugin_registry
from flowlang.connections._schema import properties
from flowlang.document import inputs, modifiers, parse, retry, verbs
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.document.yaml_reader import read_yaml
from flowlang.exceptions import ERROR_CLASSES
from flowlang.views import keys
from flowlang.views.schema import ConnectionType, flow_schema
from flowlang.views.schema.config import of_config
from flowlang.views.verbs import VERBS


def with_built_ins() -> PluginRegistry:
    """The types of the cases, and all that FlowLang brings: pages and examples use them."""
    known = registry()
    for each in plugin_registry.records():
        if each.source == "built-in" and each.plugin is not None:
            known.register(each.plugin)
    return known


ROOT = Path(__file__).resolve().parents[2]
SCHEMA = editing.schema(registry())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
OF_PAGES = jsonschema_rs.Draft202012Validator(editing.schema(with_built_ins()))
FENCE = re.compile(r"^```yaml(?P<marks>[^\n]*)\n(?P<text>flow:.*?)^```$", re.MULTILINE | re.DOTALL)


def plain(node: Node) -> Any:
    """What a document holds, as FlowLang reads it."""
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    return [plain(each) for each in node.items] if isinstance(node, Sequence) else node.value


def problems(text: str, validator: jsonschema_rs.Draft202012Validator = VALIDATOR) -> list[str]:
    """What the schema says of a flow: `path: message`."""
    node, found = read_yaml(text, "flow.yaml")
    assert node is not None, found
    errors = validator.iter_errors(plain(node))
    return ["/".join(map(str, each.instance_path)) + f": {each.message}" for each in errors]


def valid_flows() -> Iterator[tuple[str, str]]:
    places = ("tests/checking/valid", "tests/engine/cases", "examples", "examples/letters")
    files = [path for place in places for path in (ROOT / place).glob("*.yaml")]
    files += (ROOT / "src/flowlang/connections").glob("*/example.yaml")
    yield from ((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in sorted(files))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if not {"wrong", "fragment"} & set(match["marks"].split()):
                yield f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}", match["text"]


OTHERS = re.compile(r"type: (?:prices|kvfile|acme)\b")  # plugins and services that a page writes, or the example one
VALID = [
    (name, text) for name, text in valid_flows() if re.search(r"^flow:", text, re.MULTILINE) and not OTHERS.search(text)
]


def test_the_schema_is_a_schema() -> None:
    """Valid by the metaschema of 2020-12, whichever plugins are installed; every reference leads somewhere."""
    for each in (SCHEMA, editing.schema(), flow_schema([], [])):
        jsonschema_rs.meta.validate(each)
        assert each["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        for reference in re.findall(r'"\$ref": "#/\$defs/([^"/]+)', json.dumps(each)):
            assert reference in each["$defs"]


@pytest.mark.parametrize("text", [text for _, text in VALID], ids=[name for name, _ in VALID])
def test_a_valid_flow_passes(text: str) -> None:
    assert problems(text, OF_PAGES) == []


def test_the_corpus_is_there() -> None:
    assert len(VALID) >= 50


HEAD = 'flow: f\nconnections: {db: {type: sqlite, database: ":memory:"}}\n'
BROKEN = {
    "flow: f\nstep: []\n": "'step'",
    "flow: f\nsteps: {log: a}\n": "steps: ",
    "flow: f\nsteps: [{lgo: hello}]\n": "steps/0/lgo: ",
    "flow: f\nsteps: [{id: a, timeout: 5s}]\n": "steps/0: ",
    "flow: f\nsteps: [{log: a, set: {a: 1}}]\n": "steps/0: ",
    "flow: f\nsteps: [{log: a, thne: []}]\n": "'thne'",
    "flow: f\nsteps: [{log: [a]}]\n": "steps/0/log: ",
    "flow: f\nsteps: [stop]\n": "steps/0: ",
    "flow: f\nsteps: [{log: a, timeout: 5 seconds}]\n": "steps/0/timeout: ",
    "flow: f\nsteps: [{log: a, retry: {on: [conect]}}]\n": "steps/0/retry/on/0: ",
    "flow: f\nsteps: [{log: a, retry: {max_attempts: 0}}]\n": "steps/0/retry/max_attempts: ",
    "flow: f\nsteps: [{if: {any: [a], al: [b]}, then: []}]\n": "'al'",
    "flow: f\nsteps: [{for_each: '${[1]}', do: [{lgo: a}]}]\n": "steps/0/do/0/lgo: ",
    "flow: f\nsteps: [{while: a < 1, do: []}]\n": "max_iterations",
    "flow: f\nsteps: [{parallel: [{do: [{log: a}], dodo: 1}]}]\n": "'dodo'",
    "flow: f\nsteps: [{switch: '${a}', cases: [{when: 1}]}]\n": '"do" is a required property',
    "flow: f\nsteps: [{try: [], catch: [{on: [task]}]}]\n": '"do" is a required property',
    "flow: f\nsteps: [{wait: {}}]\n": "steps/0/wait: ",
    "flow: f\nsteps: [{exit: {status: fine}}]\n": "steps/0/exit/status: ",
    "flow: f\nsteps: []\ninputs: [{name: a, type: int}]\n": "inputs/0/type: ",
    "flow: f\nsteps: []\noutputs: [{name: a}]\n": '"value" is a required property',
    "flow: f\nsteps: []\nconnections: {db: {type: sqlit}}\n": "connections/db/type: ",
    "flow: f\nsteps: []\nconnections: {db: {type: sqlite}}\n": '"database" is a required property',
    "flow: f\nsteps: []\nconnections: {db: {type: sqlite, database: a, pool: 1}}\n": "'pool'",
    "flow: f\nsteps: []\nconnections: {db: {type: sqlite, database: a, pool_size: 0}}\n": "connections/db/pool_size: ",
    "flow: f\nsteps: []\ntriggers: [{every: {interval: soon}}]\n": "triggers/0/every/interval: ",
    HEAD + "steps: [{sqlite_query: {qery: a}}]\n": "'qery'",
    HEAD + "steps: [{sqlite_query: {id: q}}]\n": '"query" is a required property',
    HEAD + "steps: [{sqlite_query: {query: a}, limit: 1}]\n": "'limit'",
    HEAD + "steps: [{sqlite_query: {query: a, limit: some}}]\n": "steps/0/sqlite_query/limit: ",
    HEAD + "steps: [{sqlite_query: {query: a, outputs: [row]}}]\n": "steps/0/sqlite_query/outputs/0: ",
    HEAD + "steps: [{task: sqlite_query, inputs: {qery: a}}]\n": "'qery'",
    HEAD + "steps: [{task: sqlite_query}]\n": '"inputs" is a required property',
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_flow_is_refused_where_it_is_broken(text: str) -> None:
    """Each problem names the key that is wrong, and at most one more problem follows from it."""
    found = problems(text)
    assert any(BROKEN[text] in each for each in found), found
    assert len(found) <= 2, found


@pytest.mark.parametrize(
    "step",
    [
        "{sqlite_query: {query_file: a.sql, limit: '${inputs.n}', timeout: 5s}, id: q, outputs: [rows]}",
        "{sqlite_query: {inputs: {query: SELECT 1}}}",
        "{sqlite_query: null, inputs: {query: SELECT 1}}",
        "{sqlite_batch_insert: {table: t, records: '${r}', on_conflict: '${c}'}}",
        "{my_own_task: {whatever: 1, id: q}}",
        "{my_own_task: }",
        "{task: my_own_task}",
        "{if: x, my_own_task: {}}",
        "{transaction: db, do: [{log: a}], id: t}",
        "{until: x > 1, do: [], max_iterations: 3, interval: 1s}",
        "{try: [{log: a}], catch: [{on: [task], as: e, do: [exit]}], finally: []}",
        "{wait: '${inputs.pause}'}",
        "{wait: {signal: go, timeout: 1h}}",
        "{wait: 30}",
        "{parallel: [{do: [exit]}, {for_each: '${x}', do: []}], fail_fast: false}",
        "{log: 5, retry: 3, cache: {key: a, ttl: 1h}}" if "cache" in modifiers.COMMON else "{log: 5, retry: 3}",
    ],
)
def test_every_verb_and_shape_passes(step: str) -> None:
    assert problems(f"{HEAD}steps:\n  - {step}\n") == []


# ---------------------------------------------------------------- the table keeps up with the language


def names(table: tuple[keys.Key, ...]) -> set[str]:
    return {each.name for each in table}


def test_the_table_has_the_keys_that_the_reader_knows() -> None:
    """Whatever key the reader takes, the table has, and says what it means."""
    assert names(keys.FLOW) == set(parse.KEYS)
    assert names(keys.MODIFIERS) == set(modifiers.COMMON)
    assert names(keys.SERVICE) == {*modifiers.SERVICE} - names(keys.MODIFIERS)
    assert names(keys.RETRY) == set(retry.KEYS)
    assert names(keys.INPUT) == set(inputs._SCHEMA)
    assert set(keys.TYPES) == set(inputs.TYPES)
    assert names(keys.HOST) == set(parse._HOST_KEYS)
    assert set(keys.VERBS) >= {*verbs.VERBS}
    for verb, row in verbs.VERBS.items():
        known = names(keys.VERBS[verb]) | names(keys.SERVICE)
        assert known >= {verb, *row.keys}
    tables = [keys.FLOW, keys.INPUT, keys.OUTPUT, keys.HOST, keys.DEFAULTS, keys.CONCURRENCY, keys.RETRY, keys.CACHE]
    tables += [keys.MODIFIERS, keys.SERVICE, keys.CASE, keys.CATCH, keys.RAISE, keys.EXIT, keys.WAIT]
    assert [each.name for table in tables for each in table if not each.doc] == []


def test_every_key_of_a_verb_is_described() -> None:
    """By the table, or by the page of the verb."""
    for verb, own in keys.VERBS.items():
        pages = dict(VERBS[verb].keys) if verb in VERBS else {}
        assert [each.name for each in own if not each.doc and not pages.get(each.name)] == [], verb
    assert SCHEMA["$defs"]["class"]["enum"] == list(ERROR_CLASSES)


def test_every_setting_and_parameter_is_there() -> None:
    """The schema has each setting of each type, and each parameter of each task, with its description."""
    known = registry()
    for kind, plugin in known.all().items():
        declared = properties(plugin.get_config_schema(), plugin.get_config_schema())
        assert {*declared} <= set(SCHEMA["$defs"][f"connection.{kind}"]["properties"])
        for name, spec in known.tasks(kind).items():
            parameters = SCHEMA["$defs"][f"parameters.{name}"]["properties"]
            assert {each.name for each in spec.parameters} <= set(parameters)
            assert [each.name for each in spec.parameters if each.description not in str(parameters[each.name])] == []


def test_a_composed_config_keeps_its_meaning() -> None:
    """References and alternatives of a plugin's schema work inside the flow's; further keys are still refused."""
    config = {
        "type": "object",
        "properties": {"port": {"$ref": "#/$defs/port"}},
        "oneOf": [
            {"required": ["url"], "properties": {"url": {"type": "string"}}},
            {"required": ["host"], "properties": {"host": {"type": "string"}}},
        ],
        "$defs": {"port": {"type": "integer", "maximum": 65535}},
    }
    made = flow_schema([ConnectionType("web", "", config, True)], [])
    jsonschema_rs.meta.validate(made)
    check = jsonschema_rs.Draft202012Validator(made)

    def accepted(**settings: Any) -> bool:
        return check.is_valid({"flow": "f", "steps": [], "connections": {"w": {"type": "web", **settings}}})

    assert accepted(url="http://a", lazy=True)
    assert accepted(host="a", port="${env.PORT}")
    assert accepted(host="a", port=80)
    assert not accepted(host="a", port=70000)
    assert not accepted(host="a", prot=80)
    assert not accepted(port=80)
    assert of_config({"type": "object"}, "x", closed=False).get("additionalProperties") is None


def test_a_type_that_cannot_be_used_is_named_and_lets_everything_through() -> None:
    made = flow_schema([ConnectionType("odd", "Cannot be used: broken", None, False)], [])
    check = jsonschema_rs.Draft202012Validator(made)
    assert check.is_valid({"flow": "f", "steps": [], "connections": {"o": {"type": "odd", "any": 1}}})


# ---------------------------------------------------------------- the command


def test_the_command_prints_and_writes_it(tmp_path: Path) -> None:
    """On stdout and with `-o`, the same."""
    command = [sys.executable, "-m", "flowlang", "schema"]
    printed = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    written = subprocess.run([*command, "-o", "flow.schema.json"], capture_output=True, check=True, cwd=tmp_path)
    assert written.stdout == b""
    assert b"flow.schema.json" in written.stderr
    made = json.loads(printed.stdout)
    assert made == json.loads((tmp_path / "flow.schema.json").read_bytes())
    assert "connection.sqlite" in made["$defs"]


def test_a_scalar_of_the_reader_is_what_the_schema_sees() -> None:
    """`plain` above reads as FlowLang does: `no` is text, `1` a number."""
    node, _ = read_yaml("flow: no\nsteps: 1\n", "f")
    assert isinstance(node, Mapping)
    assert isinstance(node.entries[0][1], Scalar)
    assert plain(node) == {"flow": "no", "steps": 1}
