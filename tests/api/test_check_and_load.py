"""`check` and `load`: what they return, what they refuse, and when a plan is made anew."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from tests.engine.support import Service, registry_of

import flowlang
from flowlang.api import check, load

BOMB = b"a: &a [x,x]\n" + b"".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n".encode() for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)
HELLO = """\
flow: hello
inputs:
  - {name: who, type: string, default: world}
steps:
  - set: {text: "Hello, ${inputs.who}!"}
    id: greeting
outputs:
  - {name: text, value: "${greeting.text}"}
"""


def test_a_good_flow_has_a_plan_and_no_findings() -> None:
    checked = check(text=HELLO)
    assert checked.ok
    assert checked.findings == []


def test_load_raises_with_all_findings() -> None:
    with pytest.raises(flowlang.InvalidFlowError) as refused:
        load(text=HELLO.replace("greeting.text", "greting.text").replace("inputs.who", "inputs.whom"))
    assert len(refused.value.findings) == 2
    assert "and 1 more" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"\x00\x01\x02\xff", None),
        (b"\xff\xfe" + "flow: x".encode("utf-16-le"), None),
        (b"[" * 100_000, None),
        (BOMB, None),
        (b"just text", None),
    ],
    ids=["empty", "binary", "utf16", "brackets", "alias bomb", "no mapping"],
)  # fmt: skip
def test_bad_files_are_findings_with_a_position(tmp_path: Path, content: bytes, code: str | None) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    checked = check(path)
    assert not checked.ok
    first = checked.findings[0]
    assert first.severity == "error"
    assert first.span.file == str(path)
    assert first.span.start.line >= 1
    assert code is None or first.code == code


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        (finding,) = check(path).findings
        assert finding.code == "unreadable"
        assert str(path) in finding.message


def test_the_plan_is_kept_while_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(HELLO)
    first = check(path).plan
    assert check(path).plan is first
    path.write_text(HELLO.replace("Hello", "Good day"))
    assert check(path).plan is not first


def test_texts_without_a_name_are_each_remembered() -> None:
    texts = [f"flow: f\nsteps:\n  - log: {number}\n" for number in range(3)]
    first = [check(text=each).plan for each in texts]
    assert None not in first
    assert all(check(text=each).plan is plan for each, plan in zip(texts, first, strict=True))


def test_a_changed_subflow_makes_a_new_plan(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(HELLO)
    outer = tmp_path / "outer.yaml"
    outer.write_text("flow: o\nsteps:\n  - {subflow: inner, id: x}\noutputs:\n  - {name: t, value: '${x.text}'}\n")
    first = check(outer).plan
    assert check(outer).plan is first
    (tmp_path / "inner.yaml").write_text(HELLO.replace("Hello", "Good day"))
    assert check(outer).plan is not first
    assert flowlang.run_sync(outer).outputs == {"t": "Good day, world!"}


def test_a_changed_task_file_makes_a_new_plan_and_runs_anew(tmp_path: Path) -> None:
    tasks = tmp_path / "mine.py"
    code = "from flowlang import task\n\n@task(effect='none')\ndef answer() -> dict[str, int]:\n    return {'n': %d}\n"
    tasks.write_text(code % 1)
    flow = tmp_path / "flow.yaml"
    flow.write_text("flow: f\ntasks: [mine.py]\nsteps:\n- answer: {id: a}\noutputs:\n- {name: n, value: '${a.n}'}\n")
    assert flowlang.run_sync(flow).outputs == {"n": 1}
    tasks.write_text(code % 22)
    assert flowlang.run_sync(flow).outputs == {"n": 22}


def test_a_plan_is_never_that_of_another_registry() -> None:
    """Also not when the other one is gone, and its place in memory taken."""
    for _ in range(30):
        service = Service()
        registry = registry_of(service)
        flow = load(text="flow: f\nconnections: {c: {type: fake}}\nsteps: [{fake_op: {}}]\n", registry=registry)
        assert flow.plan.connections[0].plugin is registry.get("fake")
        del registry, flow
        gc.collect(1)  # of what is young: the whole heap of a test run takes a second


def test_findings_are_never_kept(tmp_path: Path) -> None:
    outer = tmp_path / "outer.yaml"
    outer.write_text("flow: outer\nsteps:\n  - subflow: inner\n")
    assert not check(outer).ok
    (tmp_path / "inner.yaml").write_text(HELLO)
    assert check(outer).ok


def test_a_relative_path_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow.yaml").write_text(HELLO.replace("greeting.text", "nothing.text"))
    monkeypatch.chdir(tmp_path)
    (finding,) = check("flow.yaml").findings
    assert finding.span.file == "flow.yaml"
    assert os.fspath(tmp_path) not in finding.message


def test_functions_can_be_handed_over_as_tasks() -> None:
    @flowlang.task(effect="none")
    def double(n: int) -> dict[str, int]:
        return {"n": 2 * n}

    flow = "flow: f\nsteps:\n  - double: {id: d, n: 21}\noutputs:\n  - {name: n, value: '${d.n}'}\n"
    assert flowlang.run_sync(text=flow, tasks=[double]).outputs == {"n": 42}
    assert not check(text=flow).ok
    assert check(text=flow, tasks={"double": double}).ok


def test_the_public_names_are_all_there() -> None:
    for name in flowlang.__all__:
        assert getattr(flowlang, name) is not None
    with pytest.raises(AttributeError):
        flowlang.nothing  # noqa: B018
