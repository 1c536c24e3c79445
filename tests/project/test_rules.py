"""Rules of the project that no other tool keeps."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

import flowlang

ROOT = Path(__file__).resolve().parents[2]


@cache
def project() -> dict:  # type: ignore[type-arg]
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@cache
def files() -> list[Path]:
    """The files of the project: what git tracks or would track; without git, what the folders hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    hidden = re.compile(r"/(\.(venv|git|mypy_cache|ruff_cache|pytest_cache|hypothesis)|build|dist|__pycache__)/")
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden.search(path.as_posix())]


# ---------------------------------------------------------------- nothing of one machine

# Written in pieces, so that this file does not match itself.
UNWANTED = re.compile(
    "|".join(
        [
            "pythonhoste" + r"d\.",
            r"npmj" + r"s\.(org|com)",
            "prox" + r"y\.golan" + "g",
            r"repo1?\.mave" + "n",
            "de" + r"b\.debia" + "n",
            r"(?<![\w.])/(work|far[m]|home|Users)/" + r"\w",
        ]
    )
)


def test_no_file_names_a_registry_host_or_a_path_of_one_machine() -> None:
    """A fresh clone elsewhere finds nothing that only works where it was written."""
    found = []
    for path in files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{n}: {line}" for n, line in enumerate(lines, 1) if UNWANTED.search(line)]
    assert not found, "\n".join(found)


def test_pins_are_names_and_versions_only() -> None:
    """requirements-dev.txt has plain pins, so that any index, mirror or folder of wheels can serve them."""
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []


# ---------------------------------------------------------------- versions


def test_versions_agree() -> None:
    """The package, pyproject.toml and the newest entry of the changelog say the same version."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert flowlang.__version__ == project()["version"] == released[0]


def test_the_version_has_no_development_suffix() -> None:
    """Packages written by the guide ask for `flowlang>=0.1.0`; a suffix would not satisfy them."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", project()["version"])
    assert tuple(map(int, project()["version"].split("."))) >= (0, 1, 0)


def test_each_connection_type_has_an_extra_and_all_has_them_all() -> None:
    """`pip install 'flowlang[sqlite]'` and `'flowlang[all]'` work for every built-in connection type."""
    folder = ROOT / "src/flowlang/connections"
    types = {path.parent.name for path in folder.glob("*/provider.py")}
    extras = project()["optional-dependencies"]
    assert types <= set(extras)
    union = re.findall(r"flowlang\[([^\]]*)\]", " ".join(extras["all"]))
    assert {name for group in union for name in group.split(",")} == set(extras) - {"all"}


# ---------------------------------------------------------------- the face


def test_every_target_of_the_makefile_has_help() -> None:
    """`make help` lists every target that a person may call."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)).split())
    helped = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert phony == helped


@pytest.mark.parametrize("target", ["setup", "demo", "test", "test-fast", "lint", "format", "types", "bench"])
def test_targets_that_need_the_environment_make_it(target: str) -> None:
    """Each of them works alone in a fresh clone."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}: \$\(STAMP\)", text, re.MULTILINE)


def test_ci_calls_what_developers_call() -> None:
    """CI has no recipe of its own: it goes through the Makefile, with the whole test suite."""
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"make .*\btest\b", script.read_text(encoding="utf-8"))
    assert ".ci/run" in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "src/flowlang/py.typed").is_file()


# ---------------------------------------------------------------- the style


def python_files() -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and path.is_relative_to(ROOT / "src")]


def test_no_function_is_longer_than_70_lines() -> None:
    """The limit of the style guide."""
    import ast

    long = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > 70:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {size} lines")
    assert not long, "\n".join(long)
