"""The docs are true: flows in them check and run, commands print what is shown, links lead somewhere.

The first word after the fence is the language; further words say what the block is for:

    ```yaml                 a whole flow (it begins with `flow:`); it passes `flowlang check --strict`
    ```yaml run             the same, and it runs and succeeds
    ```yaml wrong           a whole flow that the check refuses
    ```yaml hint            a whole flow that passes with a hint; without the mark a flow gets none
    ```yaml service         the file of a service; with its name it lies beside the blocks after it
    ```yaml fragment        a part of a flow; it is only read as YAML
    ```python run           a program that ends without an error
    ```console              commands after `$ ` and all that they print; `…` is any text in a line, or any lines
    ```sh                   for readers; a `make` target in it exists
    ```<any> file=NAME      kept under that name in the page's folder, for the blocks after it

The blocks of one page share a folder and are taken in order, as a reader would.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.docs.blocks import FENCE, ROOT, Block, blocks, command, commands, compared, install, named

FINDINGS = ROOT / "docs/reference/findings"  # what they show is held against the check in tests/checking
TUTORIAL = ROOT / "docs/tutorial.md"  # played in test_tutorial.py
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def play(block: Block, folder: Path) -> None:
    """Take one block the way its marks say."""
    if block.file:
        (folder / block.file).write_text(block.text, encoding="utf-8")
    if block.language == "yaml":
        play_yaml(block, folder)
    elif block.language == "python" and "run" in block.marks:
        done = command(folder, "python", "-W", "error", "-c", block.text)
        assert done.returncode == 0, f"{block}\n{done.stdout}"
    elif block.language == "console":
        play_console(block, folder)
    elif block.language == "sh" and not block.file:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        assert set(re.findall(r"\bmake ([a-z-]+)", block.text)) <= targets, block
    else:
        assert block.file, f"{block}: nothing proves this block; see the marks at the top of {Path(__file__).name}"


def play_yaml(block: Block, folder: Path) -> None:
    if "fragment" in block.marks:
        assert yaml.safe_load(block.text), block
        return
    if "service" in block.marks:
        name = re.sub(r"\Aservice: (\S+)\n.*", r"\1.service.yaml", block.text, flags=re.DOTALL)
    else:
        assert re.search(r"\A(#.*\n|\n)*flow:", block.text), f"{block}: mark a part of a flow as `yaml fragment`"
        name = block.file or f"line{block.line}.yaml"
    (folder / name).write_text(block.text, encoding="utf-8")
    checked = command(folder, "flowlang", "check", "--strict", name)
    assert checked.returncode == (2 if "wrong" in block.marks else 0), f"{block}\n{checked.stdout}"
    assert ("hint[" in checked.stdout) == ("hint" in block.marks), f"{block}\n{checked.stdout}"
    if "run" in block.marks:
        done = command(folder, "flowlang", "run", name)
        assert done.returncode == 0, f"{block}\n{done.stdout}"


def play_console(block: Block, folder: Path) -> None:
    for words, expected in commands(block):
        if words[:2] == ["pip", "install"]:
            install(folder)
            continue
        compared(block, words, command(folder, *words).stdout, expected)


@pytest.mark.parametrize("page", [each for each in PAGES if each.parent != FINDINGS and each != TUTORIAL], ids=named)
def test_what_a_page_shows_is_so(page: Path, tmp_path: Path) -> None:
    """Every block of the page does what its marks say, in order, in one folder."""
    for block in blocks(page):
        play(block, tmp_path)


@pytest.mark.parametrize("name", ["pyproject.toml", "flowlang_kvfile.py", "visits.yaml"])
def test_the_plugin_in_the_readme_is_the_one_in_the_examples(name: str) -> None:
    """The README shows the files of examples/plugin/ in full and unchanged."""
    shown = {block.file: block.text for block in blocks(ROOT / "README.md")}
    assert shown[name] == (ROOT / "examples/plugin" / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file of the project, and each anchor a heading in it."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_every_page_is_in_the_index() -> None:
    """docs/index.md links every page of docs/."""
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    folder = ROOT / "docs"
    pages = [path.relative_to(folder).as_posix() for path in (*folder.glob("*.md"), *folder.glob("reference/*.md"))]
    assert [name for name in pages if name != "index.md" and f"({name})" not in index] == []
