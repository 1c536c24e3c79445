"""A small machine reads any file: the check of a hostile one ends in findings, in little memory, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import flowlang

MEGABYTE = 1024 * 1024
MOST_MEMORY = 200  # megabytes, of the whole process that runs `flowlang check`

_MEASURED = """
import json, re, sys
from flowlang.cli import main
sys.argv = ["flowlang", "check", "--format", "json", sys.argv[1]]
code = 0
try:
    main()
except SystemExit as end:
    code = end.code
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]  # of this program, not of its parent
print(json.dumps({"code": code, "peak": int(peak) // 1024}), file=sys.stderr)
"""


def _bomb(levels: int) -> str:
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(rows)


HOSTILE: dict[str, Callable[[], str]] = {
    "a bomb of aliases": lambda: _bomb(9),
    "a bomb of aliases among the steps": lambda: (
        "flow: f\nsteps:\n  - log: x\nvars:\n  " + _bomb(9).replace("\n", "\n  ")
    ),
    "a hundred thousand levels": lambda: "flow: " + "[" * 100_000,
    "a million keys": lambda: "flow: f\nvars:\n" + "".join(f"  k{n}: 1\n" for n in range(1_000_000)),
    "a scalar of ten megabytes": lambda: "flow: f\ndescription: '" + "x" * (10 * MEGABYTE) + "'\n",
    "one line of a megabyte": lambda: "flow: f\nsteps: [" + "{log: x}, " * 100_000,
    "expressions of half a megabyte": lambda: (
        "flow: f\nvars: {a: '" + "${inputs.a}" * 48_000 + "'}\nsteps: [{log: x}]\n"
    ),
    "a thousand errors": lambda: "flow: f\nsteps:\n" + "  - lgo: x\n" * 50_000,
}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    """`flowlang check` names what is wrong as findings, exits with 2, and takes less than 200 MB."""
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name](), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    *rest, measured = done.stderr.splitlines()
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    told = json.loads(measured)
    assert told["code"] == 2, rest
    assert told["peak"] < MOST_MEMORY
    assert done.stdout.strip()


TAGS = ["!!python/object/apply:os.system ['id']", "!!python/name:os.system", "!include /etc/passwd", "!ENV ${HOME}"]
TAGS += ["!!binary aGk=", "!!set {a}", "!!omap [a: 1]", "!<tag:x,2000:y> 1", "!vault x", "!Ref x"]


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_makes_nothing(tag: str) -> None:
    """A tag other than those of the core schema is a finding where it stands, and nothing is made of it."""
    checked = flowlang.check(text=f"flow: f\nvars:\n  x: {tag}\nsteps:\n  - log: x\n")
    first = checked.findings[0]
    assert (first.code, first.span.start.line) == ("unknown-tag", 3)


PLACES = ["flow: {}", "flow: f\ndescription: {}", "flow: f\n{}: 1", "flow: f\nvars: {{a: {}}}", "flow: f\nsteps: [{}]"]
HIDDEN = ["\0", "\x08", "\x1b[2J", "\u202e", "\u2066", "\u200b", "\x85", "\u2028", "\ufeff"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("character", HIDDEN, ids=ascii)
def test_what_is_not_seen_is_not_read(place: str, character: str) -> None:
    """Characters that hide or turn text are refused in every kind of place, and never shown raw."""
    checked = flowlang.check(text=place.format(f"a{character}b") + "\n")
    assert checked.plan is None
    shown = " ".join(
        flowlang.diagnostics.render(each, checked.sources.get(each.span.file)) for each in checked.findings
    )
    assert not set(shown) & set("\0\x08\x1b\u202e\u2066\u2028\x85")


LOOKALIKES = {"inputѕ": "inputs", "ﬁle": "file", "аpi": "api", "ℌost": "Host", "ｕser": "user"}


@pytest.mark.parametrize("word", LOOKALIKES)
def test_a_name_that_looks_like_another_is_not_taken_for_it(word: str) -> None:
    """A step called by look-alike letters is told of, and `${…}` with the plain name does not reach it."""
    text = f'flow: f\nsteps:\n  - id: {word}\n    set: {{x: 1}}\n  - log: "${{{LOOKALIKES[word]}.x}}"\n'
    checked = flowlang.check(text=text)
    assert {each.span.start.line for each in checked.findings if each.severity == "error"} >= {5}
    assert any(each.span.start.line == 3 for each in checked.findings)
