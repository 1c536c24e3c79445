"""`flowlang doctor`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from flowlang import describing
from flowlang.cli.output import colours, out, out_json
from flowlang.views.text import painter, table

Check = dict[str, Any]
"""`{name, state: "ok" | "warning" | "broken", detail}`."""

_PACKAGES = ("click", "cronsim", "jsonschema-rs", "msgspec", "packaging", "PyYAML", "rich")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def doctor(as_json: bool) -> int:
    """Look at the installation: Python, packages, plugins, drivers, settings. Exit code 1 when something is broken."""
    checks = [_python(), *_packages(), *_plugins(), *_settings(), _temporary()]
    broken = [each for each in checks if each["state"] == "broken"]
    if as_json:
        out_json({"ok": not broken, "checks": checks})
    else:
        paint = painter(colours(sys.stdout))
        styles = {"ok": "good", "warning": "warning", "broken": "error"}
        lines = table((each["state"], each["name"], each["detail"]) for each in checks)
        for line, each in zip(lines, checks):
            out(line.replace(each["state"], paint(each["state"], styles[each["state"]]), 1))
    return 1 if broken else 0


def _check(name: str, detail: str, state: str = "ok") -> Check:
    return {"name": name, "state": state, "detail": detail}


def _python() -> Check:
    import platform

    from flowlang import __version__

    detail = f"{__version__} on Python {platform.python_version()} ({platform.platform()}), {sys.executable}"
    return _check("flowlang", detail)


def _packages() -> list[Check]:
    from importlib import metadata

    checks = []
    for name in _PACKAGES:
        try:
            checks.append(_check(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            checks.append(_check(name, f"not installed: pip install {name}", "broken"))
    return checks


def _plugins() -> list[Check]:
    from flowlang import api

    checks = []
    for record in api.plugins():
        about = describing.listed(record)
        if about["problem"] is not None:
            checks.append(_check(f"plugin {record.name}", f"{about['source']}: {about['problem']}", "broken"))
            continue
        needs = describing.required(record)
        lacking = [each["requirement"] for each in needs["dependencies"] if not each["satisfied"]]
        if needs["problem"]:
            checks.append(_check(f"plugin {record.name}", needs["problem"], "broken"))
        elif lacking:
            detail = f"{about['version']}, {about['source']}; missing {', '.join(lacking)}: {needs['install']}"
            checks.append(_check(f"plugin {record.name}", detail, "warning"))
        else:
            checks.append(_check(f"plugin {record.name}", f"{about['version']}, {about['source']}"))
    return checks


def _settings() -> list[Check]:
    """The names of what is set; never a value."""
    names = sorted(name for name in os.environ if name.startswith("FLOWLANG_"))
    checks = [_check("settings", ", ".join(names) or "no FLOWLANG_… variable is set")]
    if "FLOWLANG_SECRETS_DIR" in names and not os.path.isdir(os.environ["FLOWLANG_SECRETS_DIR"]):
        checks.append(_check("FLOWLANG_SECRETS_DIR", "names no folder", "broken"))
    return checks


def _temporary() -> Check:
    import tempfile

    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"flowlang")
    except OSError as error:
        return _check("temporary files", f"cannot be written: {error.strerror}", "broken")
    return _check("temporary files", tempfile.gettempdir())
