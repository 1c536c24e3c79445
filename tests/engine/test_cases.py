"""The language at run time, told by data: a flow, what it is given, and what has to happen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.engine.support import JumpingClock, Service, registry_of, story, tasks

import flowlang
from flowlang.events import Event

FOLDER = Path(__file__).parent / "cases"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text("utf-8"))
]


@pytest.mark.parametrize("case", CASES)
async def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    """Events in order, status, outputs, and of an error its class, step and words."""
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text, "utf-8")
    path = tmp_path / "flow.yaml"
    path.write_text(case["flow"], "utf-8")
    service, clock = Service(), JumpingClock()
    events: list[Event] = []
    options: dict[str, Any] = {"tasks": tasks(), "registry": registry_of(service), "clock": clock}
    result = await flowlang.run(path, case.get("inputs"), on_event=events.append, **options)
    happened = story(events)
    if case.get("any_order"):
        happened.sort()
    found: dict[str, Any] = {"status": result.status, "events": happened}
    if result.status == "invalid":
        pytest.fail("\n".join(f"{each.span}: {each.message}" for each in result.findings))
    if result.outputs:
        found["outputs"] = result.outputs
    if result.reason is not None:
        found["reason"] = result.reason
    if result.failure is not None:
        failure = result.failure
        found["error"] = {"type": failure.type, "step": failure.step, "detail": failure.detail}
        if failure.notes:
            found["notes"] = list(failure.notes)
    if clock.slept:
        found["slept"] = clock.slept
    assert service.clean()
    if os.environ.get("TELL_CASES"):
        print(yaml.safe_dump({case["name"]: found}, sort_keys=False, allow_unicode=True, width=120))  # noqa: T201
        return
    assert found == case["expect"]
    quiet = await flowlang.run(path, case.get("inputs"), **{**options, "tasks": tasks()})
    assert (quiet.status, quiet.outputs) == (result.status, result.outputs)
    assert (quiet.failure and quiet.failure.type) == (result.failure and result.failure.type)
