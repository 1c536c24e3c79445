"""Flows with every default written out: valid, and the same flow as before."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from tests.checking.plugins import registry
from tests.engine.support import JumpingClock, Service, registry_of, story, tasks
from tests.engine.test_cases import CASES

import flowlang
from flowlang import api
from flowlang.checking.checker import Checked
from flowlang.diagnostics import render
from flowlang.document import model
from flowlang.events import Event
from flowlang.explaining import explicit
from flowlang.views.dryrun import dry_run_text

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = registry()
FOLDERS = ("tests/checking/valid", "tests/document/valid", "tests/dryrun/cases", "examples")
OTHER_PLUGINS = {"every-verb", "guide-example", "visits"}  # valid where theirs are installed
FLOWS = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    if not path.name.endswith((".test.yaml", ".service.yaml")) and path.stem not in OTHER_PLUGINS
]
NOTE = re.compile(r" # (default|from `defaults`|from the file of the service).*$", re.MULTILINE)
NOT_MEANT = frozenset("at span spans scalar expression template file text unread default_span inputs_at".split())
CLASSES = {cls for cls in vars(model).values() if dataclasses.is_dataclass(cls)}


def checked(path: Path, text: str | None = None) -> Checked:
    known = None if "examples" in path.parts else REGISTRY  # examples use the built-in types
    return flowlang.check(text=text if text is not None else path.read_bytes(), file=path.name, registry=known)


def plain(part: Any) -> Any:
    """What a part of a flow says, wherever it stands."""
    if isinstance(part, model.Name):
        return part.text
    if isinstance(part, model.Constant):
        return type(part.value).__name__, part.value
    if isinstance(part, (model.Computed, model.Condition)):
        return part.scalar.text
    if isinstance(part, (list, tuple)):
        return [plain(each) for each in part]
    if type(part) in CLASSES:
        names = (each.name for each in dataclasses.fields(part) if each.name not in NOT_MEANT)
        return {"is": type(part).__name__} | {name: plain(getattr(part, name)) for name in names}
    return part


def settled(part: Any, defaults: dict[str, Any], policies: dict[str, Any]) -> Any:
    """`part` with its defaults, taken from docs/language.md; what is not part of the model is left out. `policies` are
    those of services in YAML, by task."""
    if isinstance(part, list):
        return [settled(each, defaults, policies) for each in part]
    if not isinstance(part, dict):
        return part
    part = {key: settled(value, defaults, policies) for key, value in part.items()}
    kind = part.get("is")
    if kind == "TaskStep":
        part["connection"] = None  # compared in the plan
        for key in ("timeout", "retry"):
            if part["modifiers"][key] is None:
                part["modifiers"][key] = defaults[key] or (policies.get(part["task"]) if key == "retry" else None)
    elif kind == "Input":
        part["has_default"] = not part["required"] or part["has_default"]
    elif kind == "Output" and part["type_name"] is None:
        part |= {"type_name": "any", "type": None}
    elif kind == "Output" and part["type_name"] == "any":
        part["type"] = None
    elif kind == "RaiseStep":
        part["error_class"] = part["error_class"] or "task"
    elif kind in ("Connection", "Trigger"):
        part = {key: part[key] for key in part if key not in ("config", "host_entries", "settings")}
    return part


def said(found: Checked) -> Any:
    assert found.flow is not None
    assert found.plan is not None
    plugins = {each.name: each.plugin for each in found.plan.connections}
    owners = {each.spec.name: plugins.get(each.connection_name or "") for each in found.plan.operations}
    policies = {task: plain(getattr(owner, "step_retry", None)) for task, owner in owners.items()}
    whole = plain(found.flow)
    return settled(whole, whole["defaults"], policies)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_flow_stays_the_same_when_its_defaults_are_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model but for what is explicit now, the same settings of connections, the same calls of a dry run."""
    monkeypatch.chdir(path.parent)
    before = checked(path)
    assert before.plan is not None
    text = explicit(before)
    after = checked(path, text)
    assert [render(each, text) for each in after.findings] == [render(each, text) for each in before.findings]
    assert after.plan is not None
    assert said(after) == said(before)
    for old, new in zip(before.plan.connections, after.plan.connections, strict=True):
        assert (old.ready and old.ready.config) == (new.ready and new.ready.config)
    old_calls, new_calls = (
        {(each.spec.name, each.connection_name) for each in one.operations} for one in (before.plan, after.plan)
    )
    assert old_calls == new_calls


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_written_defaults_are_defaults_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Done twice it changes nothing but the notes: what was a default is what the author says."""
    monkeypatch.chdir(path.parent)
    before = checked(path)
    once = explicit(before)
    assert NOTE.search(once)
    assert explicit(checked(path, once)) == NOTE.sub("", once)


@pytest.mark.parametrize("path", sorted((ROOT / "tests/dryrun/cases").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_dry_run_of_it_is_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    before = api.plan(path.name, {}, env={})
    after = api.plan(text=explicit(flowlang.check(path.name)), inputs={}, file=path.name, env={})
    assert dry_run_text(dataclasses.replace(after, connections=before.connections)) == dry_run_text(before)


async def happened(case: dict[str, Any], text: str, folder: Path) -> Any:
    """A run of `text`: its events, its end, and how long it waited."""
    events: list[Event] = []
    clock, service = JumpingClock(), Service()
    options: dict[str, Any] = {"tasks": tasks(), "registry": registry_of(service), "clock": clock}
    file = str(folder / "flow.yaml")
    result = await flowlang.run(text=text, file=file, inputs=case.get("inputs"), on_event=events.append, **options)
    failure = result.failure and (result.failure.type, result.failure.step, result.failure.detail)
    told = sorted(story(events)) if case.get("any_order") else story(events)
    return told, result.status, result.outputs, result.reason, failure, clock.slept


@pytest.mark.parametrize("case", CASES)
async def test_a_run_of_it_is_the_same(case: dict[str, Any], tmp_path: Path) -> None:
    """Every case of the engine: the same events, the same end, the same waits."""
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text, "utf-8")
    file, original = str(tmp_path / "flow.yaml"), case["flow"]
    found = flowlang.check(text=original, file=file, tasks=tasks(), registry=registry_of(Service()))
    assert await happened(case, explicit(found), tmp_path) == await happened(case, original, tmp_path)


VERBS = """flow: f
concurrency: {}
triggers:
  - schedule: {cron: 0 6 * * *}
  - webhook: {path: /orders, auth: {bearer: "${secrets.HOOK}"}}
inputs: [{name: items, type: array, default: []}, {name: plain}]
connections: {db: {type: sqlite, database: ":memory:"}}
defaults: {retry: 2}
steps:
  - for_each: "${inputs.items}"
    do: [{sqlite_query: {query: SELECT 1}}]
  - while: inputs.items != null
    max_iterations: 3
    do: [{log: again}]
  - parallel: [{log: a}]
  - try: [{log: a}]
    catch: [{do: [{log: b}]}]
  - wait: {signal: paid}
  - switch: "${inputs.plain}"
    cases: [{when: a, do: [{raise: {message: no}}]}]
  - transaction: db
    retry: {max_attempts: 5, on: [connect]}
    do: [{sqlite_query: {query: SELECT 2, timeout: 1.5s}}]
  - exit: done
outputs: [{name: n, value: 1}]
"""
WRITTEN = """
limit: 1 # default|on_conflict: queue # default|# key: all runs are counted together
timezone: UTC # default|overlap: skip # default|catchup: none # default
respond: accepted # default|bearer: "${secrets.HOOK}"|# inputs: the keys of the body
type: any # default|required: false # default|default: null # default|secret: false # default
pool_size: 4 # default|lazy: false # default|connect_timeout: 30s # default|acquire_timeout: 30s # default
as: item # default|max_concurrency: 1 # default|max_failures: 0 # default|# no batch_size: one by one
connection: db # default: the only one that fits|# outputs: all (rows, count)|# no timeout, no cache, no idempotency_key
retry: # from `defaults`|max_attempts: 2|backoff: exponential|multiplier: 2|max_delay: 1m|jitter: true|delay: 1s
interval: 0s # default|# max_concurrency: all|fail_fast: true # default|as: error # default|# on: every class
# no timeout|type: task # default|status: success # default|# no default: without a case that fits the flow goes on
max_attempts: 5|backoff: exponential # default|on: [connect]|# unless: nothing more|# no max_elapsed
timeout: 1500ms|continue_on_error: false # default|# no outputs|# no timeout of the whole run
"""


def test_every_default_of_every_verb_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or told in a comment; the secret that it names is not looked up."""
    monkeypatch.setenv("FLOWLANG_SECRET_HOOK", "hunter22")
    text = explicit(flowlang.check(text=VERBS))
    lines = {line.strip(" -") for line in text.splitlines()}
    assert {each for row in WRITTEN.strip().splitlines() for each in row.split("|")} - lines == set()
    assert "hunter22" not in text


SECRETS = """flow: f
connections:
  api: {type: myservice, api_key: sk_live_77aa99, base_url: "https://me:hunter66@${env.HOST}/"}
  notes: {type: memo}
inputs:
  - {name: token, type: string, secret: true, default: 9f8e7d6c}
  - {name: code, type: string, secret: true, default: s3cr3tcode, pattern: "^s"}
  - {name: mirror, type: string, default: "https://me:hunter22@host/files"}
vars:
  queue: redis://me:hunter33@${env.HOST}/0
  password: 'it''s hunter44'
steps:
  - memo_save: {password: "hunter55", entry: {key: a}}
  - set: {authorization: "Bearer ${secrets.TOKEN}", password: "hunter77"}
  - log: "${inputs.token}"
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_secrets_that_are_written_out_are_masked(newline: str) -> None:
    found = flowlang.check(text="\ufeff" + SECRETS.replace("\n", newline), registry=REGISTRY)
    assert found.plan is not None, found.findings
    text = explicit(found)
    assert not re.search("77aa|9f8e|s3cr|hunter", text)
    for line in (
        'api_key: "${secrets.API_KEY}" # masked',
        'base_url: "https://me:***@${env.HOST}/" # masked',
        'queue: "redis://me:***@${env.HOST}/0" # masked',
        'authorization: "Bearer ${secrets.TOKEN}"\n',
        "# default: ***, masked",  # the mask would break the pattern
    ):
        assert line in text
    assert flowlang.check(text=text, registry=REGISTRY).plan is not None
