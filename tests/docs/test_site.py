"""The site of the docs is in order, and what is not is refused (`make docs` runs the same)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAV = "- Home: index.md\n- More: [guides/*]\n- Rest: [readme.md, contributing.md, changelog.md, examples.md]\n"


@pytest.fixture(scope="session", autouse=True)
def _site_tools() -> None:
    sys.path.append(str(ROOT / "docs/site"))  # scripts, in no package


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository whose docs are in order."""
    files = {
        "README.md": "# Read me\n\n[guide](docs/guides/one.md#a-part)\n",
        "CONTRIBUTING.md": "# Contributing\n",
        "CHANGELOG.md": "# Changelog\n",
        "examples/hello.yaml": "flow: hello\n",
        "docs/index.md": "# Home\n\n[first](../README.md) [hello](../examples/hello.yaml)\n",
        "docs/guides/one.md": "# One\n\n## A part\n\n| `a\\|b` | c |\n\n```yaml run file=a.yaml\nflow: a\n```\n",
        "docs/site/nav.yml": NAV,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_site_is_built_and_in_order(tmp_path: Path) -> None:
    """No generated page is stale, no link or anchor dead, no page outside of the navigation, nothing from elsewhere."""
    command = [sys.executable, str(ROOT / "docs/site/build.py"), "--into", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    home = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert 'href="./readme.html"' in home
    assert '<span class="filename">shelf.yaml</span>' in home


def test_pages_are_turned_into_those_of_the_site(repository: Path) -> None:
    """Links lead to pages, examples have a page, a block shows its file, and a folder of the navigation its pages."""
    from stage import stage

    nav = stage(repository, repository / "out")
    assert nav[1] == {"More": ["guides/one.md"]}
    assert (
        (repository / "out/index.md")
        .read_text("utf-8")
        .endswith("[first](readme.md) [hello](examples.md#examples-hello-yaml)\n")
    )
    guide = (repository / "out/guides/one.md").read_text("utf-8")
    assert '```yaml title="a.yaml"\n' in guide
    assert "| `a|b` | c |" in guide
    assert "guides/one.md#a-part" in (repository / "out/readme.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param("docs/more.md", "# More\n", "the page `more.md` is missing", id="not-in-the-navigation"),
        pytest.param("docs/site/nav.yml", f"{NAV}- Gone: gone.md\n", "there is no page `gone.md`", id="gone"),
        pytest.param("docs/guides/one.md", "# One\n\n[x](two.md)\n", "one.md: the link `two.md`", id="dead-link"),
        pytest.param("docs/guides/one.md", "- one\n\n  ```yaml\n  a: 1\n  ```\n", "one.md:3: no test", id="indented"),
        pytest.param("docs/guides/one.md", "```yml\na: 1\n```\n", "one.md:1: no test", id="other-name"),
    ],
)
def test_what_is_not_in_order_is_refused(repository: Path, name: str, text: str, said: str) -> None:
    from stage import Unfit, stage

    (repository / name).write_text(text, encoding="utf-8")
    with pytest.raises(Unfit, match=said):
        stage(repository, repository / "out")


@pytest.mark.parametrize(
    ("html", "said"),
    [
        pytest.param('<a href="b.html">', "a.html: the link `b.html` leads to no file", id="file"),
        pytest.param('<a href="#x"><p id="y">', "a.html: the link `#x` leads to no heading", id="anchor"),
        pytest.param('<img src="b.png">', "a.html: the link `b.png` leads to no file", id="image"),
        pytest.param('<script src="https://a.example/x.js">', "a.html: loads https://a.example/x.js", id="script"),
        pytest.param('<link rel="stylesheet" href="//a.example/x">', "a.html: loads //a.example/x", id="style"),
        pytest.param('<a href="https://a.example/"><p id="x"><a href="#x"><a href="a.html#x">', None, id="in-order"),
    ],
)
def test_a_built_page_is_searched_for_dead_links_and_foreign_files(tmp_path: Path, html: str, said: str | None) -> None:
    from strict import problems

    (tmp_path / "a.html").write_text(html, encoding="utf-8")
    assert list(problems(tmp_path)) == ([said] if said else [])


def test_a_style_that_loads_from_elsewhere_is_found(tmp_path: Path) -> None:
    from strict import problems

    (tmp_path / "a.css").write_text("@font-face {src: url('https://a.example/f.woff2')}", encoding="utf-8")
    assert list(problems(tmp_path)) == ["a.css: loads https://a.example/f.woff2"]
