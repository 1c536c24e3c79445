"""What is kept of a flow: the texts that it reaches, as they are when a run begins."""

from __future__ import annotations

from pathlib import Path

import flowlang
from flowlang import runs

FLOW = "flow: main\nsteps:\n  - {id: part, subflow: part.yaml}\noutputs:\n  - {name: said, value: '${part.said}'}\n"
PART = "flow: part\nsteps: [{set: {x: 1}}]\noutputs:\n  - {name: said, value: %s}\n"


def test_a_file_that_was_edited_is_captured_anew(tmp_path: Path) -> None:
    main, part = tmp_path / "main.yaml", tmp_path / "part.yaml"
    main.write_text(FLOW)
    part.write_text(PART % "one")
    flow = flowlang.load(main)
    first = runs.captured(flow.checked)
    assert first.texts == {str(main): FLOW, str(part): PART % "one"}
    assert runs.captured(flow.checked) is first
    part.write_text(PART % "two")
    second = runs.captured(flow.checked)
    assert second.texts[str(part)] == PART % "two"
    assert second.hash != first.hash
