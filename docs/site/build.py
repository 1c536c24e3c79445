"""`make docs`: builds the site of the docs into build/site/, and refuses what is not in order.

    python docs/site/build.py [--into DIR]

Refused are generated pages that are not current, YAML that no test proves, links and anchors that lead nowhere, pages
that are missing in the navigation (docs/site/nav.yml), and pages that load something from elsewhere. The exit code is 1
then, and stderr names each place.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from stage import ROOT, SITE, Nav, Unfit, stage
from strict import problems


def build(root: Path, work: Path) -> Path:
    """Build the site of the repository `root` inside `work`; the folder with its pages."""
    work.mkdir(parents=True, exist_ok=True)
    nav = stage(root, work / "docs")
    shutil.copytree(SITE / "theme", work / "docs", dirs_exist_ok=True)
    settings = (SITE / "mkdocs.yml").read_text("utf-8")
    (work / "mkdocs.yml").write_text(settings + "\n" + _yaml(nav), "utf-8")
    shutil.rmtree(work / "site", ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", "mkdocs.yml"]
    done = subprocess.run(command, cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Unfit(done.stdout)
    if found := list(problems(work / "site")):
        raise Unfit("\n".join(found))
    return work / "site"


def _yaml(nav: Nav) -> str:
    return yaml.safe_dump({"nav": nav}, sort_keys=False, allow_unicode=True)


def stale(root: Path) -> list[str]:
    """The generated pages of the repository that are not what docs/generate.py would write."""
    command = [sys.executable, str(root / "docs/generate.py"), "--check"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return done.stderr.splitlines() if done.returncode else []


def main() -> int:
    """Build the site; the exit code."""
    parser = argparse.ArgumentParser(description="Build the site of the docs, and refuse what is not in order.")
    parser.add_argument("--into", type=Path, default=ROOT / "build", metavar="DIR", help="where (default: build)")
    into = parser.parse_args().into
    try:
        if found := stale(ROOT):
            raise Unfit("\n".join(found))
        site = build(ROOT, into)
    except Unfit as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"{site / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
