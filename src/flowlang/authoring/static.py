"""What is wrong with a plugin, as far as it shows without opening anything: in its package, and in its code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from flowlang.authoring.apart import examined
from flowlang.authoring.project import Project
from flowlang.records import frozen

Severity = Literal["error", "warning"]
_SEVERITY: Mapping[str, Severity] = {"contract": "error", "quality": "warning"}
_WANTED = {
    "README.md": "says what the plugin is for",
    "LICENSE": "says who may use it",
    "CHANGELOG.md": "says what changed",
}


@frozen
class Finding:
    """`code` is a check of the kit, `group/name`, or `package/…`; `plugin` is empty for what concerns the package."""

    severity: Severity
    plugin: str
    code: str
    message: str


def findings(project: Project) -> tuple[Finding, ...]:
    """Everything found, errors first. Raises `PluginError` when the plugin cannot be looked at."""
    records = examined(project)
    found = [*_package(project, records)]
    for each in records:
        found += _plugin(each)
    return tuple(sorted(found, key=lambda each: each.severity))


def _plugin(record: Mapping[str, Any]) -> Iterator[Finding]:
    name = record["type"]
    if record["problem"] is not None:
        yield Finding("error", name, "package/import", record["problem"])
        return
    for each in record["outcomes"]:
        if each["status"] == "failed":
            yield Finding(_SEVERITY[each["tier"]], name, each["check"], each["reason"])


def _package(project: Project, records: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    if project.tree is not None:
        return  # the guide's folder is part of FlowLang's package
    yield from _python(project)
    yield from _needs(project, records)
    for each in records:
        if project.version and each["version"] and project.version != each["version"]:
            told = f"the package has the version {project.version}, the plugin `{each['type']}` {each['version']}"
            yield Finding("warning", "", "package/version", f"{told}: users see both, so let them be the same")
    if project.path.is_dir():
        yield from _files(project.path)


def _python(project: Project) -> Iterator[Finding]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    stated = project.requires_python
    if stated is None:
        told = 'it does not say which Python it needs: `requires-python = ">=3.11"`'
        yield Finding("warning", "", "package/python", told)
        return
    try:
        old = SpecifierSet(stated).contains("3.10.99")
    except InvalidSpecifier:
        yield Finding("error", "", "package/python", f"`{stated}` says no versions of Python: `>=3.11`")
        return
    if old:
        yield Finding(
            "warning", "", "package/python", f"`{stated}` takes Pythons that FlowLang does not run on: `>=3.11`"
        )


def _needs(project: Project, records: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Each package that a plugin asks for is one that installing the package, or an extra of it, brings."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    brought: set[str] = set()
    for text in (*project.requires, *(one for extra in (project.extras or {}).values() for one in extra)):
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            yield Finding("error", "", "package/requires", f"`{text}` is no requirement (PEP 508): `package>=1.0`")
            continue
        brought.add(canonicalize_name(wanted.name))
        if canonicalize_name(wanted.name) == "flowlang":
            brought |= {canonicalize_name(each) for each in _of_extras(wanted.extras)}
    for record in records:
        for each in record["dependencies"]:
            if each["name"] and canonicalize_name(each["name"]) not in brought:
                told = f"the plugin needs `{each['requirement']}`, which neither a dependency nor an extra brings"
                yield Finding("error", record["type"], "package/requires", told)


def _of_extras(extras: Collection[str]) -> Iterator[str]:
    """The packages that extras of FlowLang itself bring: `flowlang[http]`."""
    from importlib import metadata

    from packaging.requirements import Requirement

    for each in map(Requirement, metadata.requires("flowlang") or ()):
        if each.marker is not None and any(each.marker.evaluate({"extra": extra}) for extra in extras):
            yield each.name


def _files(folder: Path) -> Iterator[Finding]:
    for name, reason in _WANTED.items():
        if not any(folder.glob(f"{Path(name).stem}*")):
            yield Finding("warning", "", "package/files", f"there is no `{name}`, which {reason}")
    tests = (*folder.glob("tests/**/*.py"), *folder.glob("test_*.py"), *folder.glob("*_test.py"))
    if not any("PluginConformance" in each.read_text("utf-8", "replace") for each in tests):
        told = "no test inherits `flowlang.testing.PluginConformance`: nothing proves how the plugin opens and closes"
        yield Finding("warning", "", "package/tests", told)
