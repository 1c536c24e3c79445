"""A project's plugins looked at in a fresh process: two versions of one can be compared, and nothing of it stays here.

python -m flowlang.authoring.apart     reads a question as JSON, prints the answer as JSON

There the project counts as installed, whether it is or not, and what it needs beside FlowLang cannot be imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowlang.authoring.project import GROUP, Project
from flowlang.exceptions import PluginError

_LIMIT = 60  # seconds
STATIC = ("scaffold/snippet-valid", "scaffold/example-checks", "scaffold/tasks-documented", "scaffold/docs-checked")
"""The checks of the kit that open nothing, beside those of the group `static`."""


def described(project: Project) -> list[dict[str, Any]]:
    """Each plugin of the project as `connection info --json` describes it, with `example`, the flow that comes with
    it. Raises `PluginError` when the process dies."""
    return list(_asked(project, "describe"))


def examined(project: Project) -> list[dict[str, Any]]:
    """`described`, each with `outcomes`: how the checks of the kit ended that need no service."""
    return list(_asked(project, "examine"))


def _asked(project: Project, work: str) -> Any:
    question: dict[str, Any] = {
        "work": work,
        "tree": str(project.tree) if project.tree else None,
        "names": [each.name for each in project.plugins],
        "needs": _needs(project),
    }
    with _installed(project) as folder:
        question["roots"] = [*folder, *map(str, project.roots)]
        done = subprocess.run(
            [sys.executable, "-m", "flowlang.authoring.apart"], input=json.dumps(question), capture_output=True,
            text=True, timeout=_LIMIT, check=False,
        )  # fmt: skip
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PluginError(f"importing `{project.path.name}` ended the process: {last}") from None


def _needs(project: Project) -> list[str]:
    """What the project needs beside FlowLang."""
    every = [*project.requires, *(each for extra in (project.extras or {}).values() for each in extra)]
    return [each for each in every if not each.lower().startswith("flowlang")]


@contextmanager
def _installed(project: Project) -> Iterator[Sequence[str]]:
    """A folder with the metadata that installing the project would leave; none for wheels, which bring theirs, and for
    folders of FlowLang's tree, which need none."""
    if project.tree is not None or project.path.suffix == ".whl":
        yield ()
        return
    name, version = project.distribution or project.path.name, project.version or "0"
    with tempfile.TemporaryDirectory(prefix="flowlang-plugin-") as folder:
        info = Path(folder) / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        needs = [f"Requires-Dist: {each}" for each in project.requires]
        about = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *needs]
        (info / "METADATA").write_text("\n".join([*about, ""]), "utf-8")
        points = [f"{each.name} = {each.target}" for each in project.plugins]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points, ""]), "utf-8")
        yield (folder,)


# ---------------------------------------------------------------- in the fresh process


def answered(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer, made in this very process: it must be a fresh one."""
    from flowlang import connections
    from flowlang.conformance.offline import Blocker, driver_modules

    sys.path[:0] = question["roots"]
    sys.meta_path.insert(0, Blocker(driver_modules(question["needs"])))
    if question["tree"]:
        connections.__path__.append(question["tree"])
    return [_told(name, question["work"] == "examine") for name in question["names"]]


def _told(name: str, examine: bool) -> dict[str, Any]:
    from flowlang.connections import plugin_registry
    from flowlang.describing import described

    record = plugin_registry.info(name)
    about: dict[str, Any] = {**described(record), "example": None, "printed": record.printed}
    if record.plugin is None or about["problem"] is not None:
        return about
    about["example"] = _example(record.plugin)
    if examine:
        about["outcomes"] = _outcomes(type(record.plugin))
    return about


def _example(plugin: Any) -> str | None:
    from flowlang.conformance.example import text_of
    from flowlang.conformance.model import Absent, Failed

    try:
        return text_of(plugin, plugin.name)
    except (Absent, Failed):  # a check tells of it
        return None


def _outcomes(plugin: Any) -> list[dict[str, str]]:
    from flowlang.conformance.model import all_checks
    from flowlang.conformance.runner import carried_out
    from flowlang.conformance.subject import Subject

    chosen = [each for each in all_checks() if each.group == "static" or each.id in STATIC]
    outcomes = [carried_out(each, Subject(plugin, {}), {}) for each in chosen]
    return [{"check": each.check.id, "tier": each.check.tier, "status": each.status, "reason": each.reason}
            for each in outcomes]  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(answered(json.load(sys.stdin)), default=str))
