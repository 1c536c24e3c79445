"""Whatever stands in a file, and whatever a plugin does, the check answers with findings."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.checking.plugins import MemoPlugin, registry

import flowlang
from flowlang.diagnostics import CODES, render

HERE = Path(__file__).parent
FLOWS = [*sorted((HERE / "valid").glob("*.yaml")), *sorted((HERE / "cases").glob("*/*.yaml"))]
PIECES = [
    "${",
    "}",
    "'",
    '"',
    ": ",
    "- ",
    "\n",
    "  ",
    "[",
    "]",
    "{",
    "id: q\n",
    "a.b",
    "null",
    "&a",
    "*a",
    "é",
    "\t",
    "if",
    "0",
]


@pytest.mark.parametrize("seed", range(8))
def test_no_edit_makes_the_check_fail(seed: int) -> None:
    """Random edits of flows give findings inside the file, never an exception; without errors there is a plan."""
    known = registry()
    dice = random.Random(seed)
    for path in dice.sample(FLOWS, 40):
        text = path.read_text(encoding="utf-8")
        for _ in range(dice.randrange(1, 5)):
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice([*PIECES, ""]) + text[at + dice.randrange(4) :]
        checked = flowlang.check(text=text, file=str(path), registry=known)
        lines = text.split("\n")
        for each in checked.findings:
            assert each.code in CODES
            render(each, checked.sources.get(each.span.file))
            if each.span.file == str(path):
                assert 1 <= each.span.start.line <= len(lines)
                assert each.span.start <= each.span.end
        assert (checked.plan is None) is any(each.severity == "error" for each in checked.findings)


class BadSchema(MemoPlugin):
    name = "badschema"

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"badschema_find": self.find}

    def get_config_schema(self) -> dict[str, Any]:
        raise RuntimeError("no schema today")


class BadTask(MemoPlugin):
    name = "badtask"

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"badtask_get": self.positional}

    async def positional(self, key: str, /, connection: Any = None) -> dict[str, Any]:
        return {}


class BadNeeds(MemoPlugin):
    name = "badneeds"

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"badneeds_find": self.find}

    def get_dependencies(self) -> list[str]:
        raise RuntimeError("who knows")


@pytest.mark.parametrize(
    ("plugin", "task", "reason"),
    [
        (BadSchema, "badschema_find", "no schema today"),
        (BadTask, "badtask_get", "key"),
        (BadNeeds, "badneeds_find", "who knows"),
    ],
)
def test_a_broken_plugin_is_one_finding_at_its_connection(plugin: type[MemoPlugin], task: str, reason: str) -> None:
    """The reason stands where the type is named; the steps that use its tasks are not blamed."""
    known = registry()
    known.register(plugin)
    text = (
        f"flow: f\nconnections:\n  bad: {{type: {plugin.name}, size: 1}}\n"
        f"steps:\n  - {task}: {{id: a, connection: bad}}\n  - {task}: {{id: b}}\n  - log: hello\n"
    )
    (finding,) = flowlang.check(text=text, registry=known).findings
    assert (finding.code, str(finding.span.start)) == ("broken-plugin", "3:15")
    assert reason in finding.message


def test_there_is_an_end_to_findings() -> None:
    """A file of nothing but mistakes is told its first two hundred, and is never taken for a valid one."""
    rows = "".join(f"  - {{id: s{number}, set: {{x: 1}}, retry: 1, if: nothing_{number}}}\n" for number in range(2000))
    checked = flowlang.check(text=f"flow: f\nsteps:\n{rows}")
    assert len(checked.findings) == 200
    assert checked.plan is None


def test_warnings_never_hide_an_error() -> None:
    """Of many warnings some are told, and what comes after them is looked at all the same."""
    rows = "".join(f'  - log: "${{inputs.a}} {number}"\n' for number in range(250))
    text = f"flow: f\ninputs: [{{name: a, type: string}}]\nsteps:\n{rows}"
    checked = flowlang.check(text=text)
    assert {each.severity for each in checked.findings} == {"warning"}
    assert len(checked.findings) == 200
    assert checked.plan is not None
    broken = flowlang.check(text=text + '  - log: "${inputs.b}"\n')
    assert [each.message for each in broken.findings if each.severity == "error"] == ["no input named `b`"]


def test_a_warning_does_not_change_what_is_computed() -> None:
    """A flow with warnings runs as it is written."""
    text = (
        "flow: f\ninputs: [{name: a, type: string}]\nsteps: [{log: hi}]\n"
        "outputs: [{name: b, value: 'a: ${inputs.a}'}]\n"
    )
    checked = flowlang.check(text=text)
    assert [each.severity for each in checked.findings] == ["warning"]
    assert flowlang.run_sync(text=text, inputs={"a": "x"}).outputs == {"b": "a: x"}


def test_subflows_may_not_be_too_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of 33 flows is refused, at the call that leads below the deepest level; one of 32 is not."""
    monkeypatch.chdir(tmp_path)
    for number in range(33):
        step = f"subflow: s{number + 1}" if number < 32 else "log: at the bottom"
        (tmp_path / f"s{number}.yaml").write_text(f"flow: s{number}\nsteps:\n  - {step}\n")
    found = [each for each in flowlang.check("s0.yaml").findings if each.code == "subflow-too-deep"]
    assert [str(each.span) for each in found] == ["s31.yaml:3:14"]
    assert flowlang.check("s1.yaml").findings == []
