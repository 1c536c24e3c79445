"""Bytes → a flow or findings. `python -m tests.fuzz.flows [libFuzzer options] CORPUS`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["flowlang"]):
    import flowlang
    from flowlang.diagnostics import CODES, has_errors, render


def survives(data: bytes) -> None:
    """Whatever stands in a file: a plan, or findings that can be shown and lie inside the file."""
    checked = flowlang.check(text=data, file="fuzz.yaml")
    assert (checked.plan is None) is has_errors(checked.findings)
    lines = data.decode("utf-8", "replace").count("\n") + 1
    for each in checked.findings:
        assert each.code in CODES
        assert 1 <= each.span.start.line <= lines + 1
        assert each.span.start <= each.span.end
        render(each, checked.sources.get(each.span.file))


if __name__ == "__main__":
    atheris.Setup(sys.argv, survives)
    atheris.Fuzz()
