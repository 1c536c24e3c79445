"""Puts the pages of the repository where the builder of the site wants them, in the dialect that it reads.

The sources are written for people who read them as files: links lead to files of the repository, and the words behind a
fence say how a block is tested. On the site links lead to pages, and a block shows the name of its file.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).resolve().parent
# Pages that live outside of docs/, by their name on the site.
OUTSIDE = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
EXAMPLES = "examples.md"
IMAGES = (".svg", ".png")
# What the builder is told of a page, by its name on the site: the home page takes the whole width.
FRONT = {"index.md": "---\nhide: [navigation, toc]\n---\n\n"}

_FENCE = re.compile(
    r"^(?P<fence> *(?:```+|~~~+))(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=fence) *$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?P<head>\]\()(?P<path>[^)#\s]*)(?P<anchor>#[^)\s]*)?(?=\))")
_CODE_IN_ROW = re.compile(r"`[^`\n]*`(?=.*\|$)", re.MULTILINE)
_NOTE = re.compile(r"\A<!--.*?-->\s*", re.DOTALL)

Nav = list[Any]


class Unfit(Exception):
    """The sources are not as the site wants them; the text says which and why, one a line."""


def stage(root: Path, into: Path) -> Nav:
    """Write all pages into the folder `into`, and give the navigation with its pages filled in.

    Raises `Unfit` when a link leads nowhere, or a page is missing in the navigation.
    """
    sources = pages(root)
    problems: list[str] = []
    shutil.rmtree(into, ignore_errors=True)
    for source, name in sources.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = _NOTE.sub("", (root / source).read_text("utf-8"))
        problems += unproven(text, source)
        text = translated(text, source, sources, root, problems)
        target.write_text(FRONT.get(name, "") + text, "utf-8")
    (into / EXAMPLES).write_text(examples_page(root), "utf-8")
    for image in (each for each in (root / "docs").rglob("*") if each.suffix in IMAGES and SITE not in each.parents):
        shutil.copy(image, into / image.relative_to(root / "docs"))
    nav = yaml.safe_load((root / "docs/site/nav.yml").read_text("utf-8"))
    filled = _filled(nav, [*sources.values(), EXAMPLES], problems)
    if problems:
        raise Unfit("\n".join(problems))
    return filled


def pages(root: Path) -> dict[str, str]:
    """Every page: its path in the repository → its path on the site, both with `/`."""
    found = {path.relative_to(root).as_posix(): path for path in sorted((root / "docs").rglob("*.md"))}
    return {**{source: source.removeprefix("docs/") for source in found}, **OUTSIDE}


# ---------------------------------------------------------------- one page


def translated(text: str, source: str, sources: dict[str, str], root: Path, problems: list[str]) -> str:
    """The text of a page of the repository as the site has it; `problems` takes the links that lead nowhere."""
    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        parts += [_linked(text[end : fence.start()], source, sources, root, problems), _titled(fence)]
        end = fence.end()
    return "".join([*parts, _linked(text[end:], source, sources, root, problems)])


def unproven(text: str, source: str) -> Iterator[str]:
    """The blocks that the tests of the docs (tests/docs/test_blocks.py) do not see, or take for no flow."""
    for fence in _FENCE.finditer(text):
        language, *_ = fence["info"].split() or [""]
        seen = fence["fence"] == "```" and fence["info"][:1] != " "
        if not seen or language in {"", "yml"}:
            line = text.count("\n", 0, fence.start()) + 1
            yield f"{source}:{line}: no test proves this block; see the top of tests/docs/test_blocks.py"


def _titled(fence: re.Match[str]) -> str:
    """A block with the name of its file above it, in place of the words for the tests."""
    language, *words = fence["info"].split() or [""]
    file = next((word.removeprefix("file=") for word in words if word.startswith("file=")), "")
    title = f' title="{file}"' if file else ""
    return f"{fence['fence']}{language}{title}\n{fence['text']}{fence['fence']}"


def _linked(text: str, source: str, sources: dict[str, str], root: Path, problems: list[str]) -> str:
    """Prose with its links turned from files of the repository to pages of the site."""

    def turned(link: re.Match[str]) -> str:
        path, anchor = link["path"], link["anchor"] or ""
        if not path or re.match(r"[a-z]+:", path):
            return link[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if wanted in sources:
            name = sources[wanted]
        elif wanted.partition("/")[0] == "examples" and (root / wanted).exists():
            name, anchor = EXAMPLES, _place(wanted)
        elif wanted.startswith("docs/") and wanted.endswith(IMAGES) and (root / wanted).exists():
            name = wanted.removeprefix("docs/")
        else:
            problems.append(f"{source}: the link `{path}` leads to no page of the site")
            return link[0]
        return f"{link['head']}{posixpath.relpath(name, posixpath.dirname(sources[source]) or '.')}{anchor}"

    # In a table GitHub wants `\|` for a `|`, also inside of code; there the builder would show the backslash.
    plain = _CODE_IN_ROW.sub(lambda code: code[0].replace("\\|", "|"), text)
    return _LINK.sub(turned, plain)


# ---------------------------------------------------------------- the examples


def examples_page(root: Path) -> str:
    """Every file of `examples/` that is code, on one page, in the order of its folders."""
    parts = [
        "# Examples",
        "The flows of the folder `examples/` of the repository, whole. The tests check and run each of them.",
    ]
    folder = root / "examples"
    languages = {".yaml": "yaml", ".py": "python", ".toml": "toml"}
    files = [path for path in folder.rglob("*") if path.suffix in languages and "__pycache__" not in path.parts]
    for path in sorted(files, key=lambda path: (len(path.parts), path)):
        name = path.relative_to(root).as_posix()
        text = path.read_text("utf-8").rstrip()
        parts += [f"## {name} {{ {_place(name)} }}", f"````{languages[path.suffix]}\n{text}\n````"]
    return "\n\n".join(parts) + "\n"


def _place(name: str) -> str:
    """The anchor of an example, or of the first one in a folder: `#examples-letters`."""
    path = ROOT / name
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*.yaml"))
        return _place(inside[0].relative_to(ROOT).as_posix()) if inside else ""
    return "#" + re.sub(r"[^a-z0-9]+", "-", name.lower())


# ---------------------------------------------------------------- the navigation


def _filled(nav: Nav, names: Sequence[str], problems: list[str]) -> Nav:
    """The navigation with each `folder/*` replaced by the pages of the folder that no line names."""
    named = set(_named(nav))
    given: set[str] = set()

    def entries(items: Nav) -> Iterator[Any]:
        for item in items:
            if isinstance(item, dict):
                ((title, below),) = item.items()
                yield {title: below if isinstance(below, str) else list(entries(below))}
            elif item.endswith("/*"):
                folder = item.removesuffix("/*")
                yield from (name for name in names if posixpath.dirname(name) == folder and name not in named)
            else:
                yield item

    filled = list(entries(nav))
    given = set(_named(filled))
    problems += [f"docs/site/nav.yml: the page `{name}` is missing" for name in names if name not in given]
    problems += [f"docs/site/nav.yml: there is no page `{name}`" for name in sorted(given - set(names))]
    return filled


def _named(nav: Nav) -> Iterator[str]:
    """All pages that a navigation names, from top to bottom."""
    for item in nav:
        if isinstance(item, dict):
            (below,) = item.values()
            yield from [below] if isinstance(below, str) else _named(below)
        else:
            yield item
