"""`flowlang plugin check` and `plugin docs`: what shows without opening anything, and without the driver."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done
from tests.cli.test_plugin_diff import PLUGIN, PYPROJECT

TESTS = "from flowlang.testing import PluginConformance\n\n\nclass TestPebbles(PluginConformance):\n    pass\n"
WHOLE = {
    "pyproject.toml": PYPROJECT.replace(
        'version = "1.2.3"',
        'version = "1.2.3"\nrequires-python = ">=3.11"\ndependencies = ["flowlang>=0.1", "granite>=1.0"]',
    ),
    "pebbles.py": PLUGIN.replace('"""Find stones."""', '"""Find stones.\n\n        Example:\n            - pebbles_find: {id: found, color: red}\n        """'),  # noqa: E501
    "tests/test_pebbles.py": TESTS,
    "README.md": "Pebbles.\n",
    "LICENSE": "MIT\n",
    "CHANGELOG.md": "1.2.3\n",
}  # fmt: skip


@pytest.fixture
def package(folder: Path) -> Callable[..., Path]:
    """Lays the package, with some of its files replaced; None leaves a file out."""

    def lay(**changed: str | None) -> Path:
        files = {**WHOLE, **{_file(name): text for name, text in changed.items()}}
        for name, text in files.items():
            if text is not None:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(text)
        return folder

    return lay


def _file(name: str) -> str:
    return next(each for each in WHOLE if each.partition(".")[0].rpartition("/")[2].lower() == name)


def codes(done: Done) -> dict[str, str]:
    """The code of each finding → its severity."""
    return {each["code"]: each["severity"] for each in json.loads(done.out)["findings"]}


def test_a_whole_package_is_clean(cli: Callable[..., Done], package: Callable[..., Path]) -> None:
    """Its driver, `granite`, is not installed."""
    package()
    done = cli("plugin", "check", "--strict")
    assert done.out == "pebbles: no errors, no warnings\n"
    assert done.code == 0


def test_what_a_package_lacks_is_told(cli: Callable[..., Done], package: Callable[..., Path]) -> None:
    package(
        pyproject=PYPROJECT.replace('"1.2.3"', '"9.0"\nrequires-python = ">=3.9"'),
        pebbles=WHOLE["pebbles.py"].replace("[str, \"Of which colour\"]", "[str, ' ']"),
        test_pebbles="",
        readme=None,
        license=None,
        changelog=None,
    )  # fmt: skip
    done = cli("plugin", "check", "--json")
    found = codes(done)
    assert done.code == 1
    assert found == {
        "package/requires": "error",
        "static/requires-flowlang": "error",
        "package/python": "warning",
        "package/version": "warning",
        "package/files": "warning",
        "package/tests": "warning",
    }


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("package/import", {"pebbles": "import granite\n" + PLUGIN}),
        ("package/import", {"pebbles": "raise SystemExit(3)\n"}),
        ("package/import", {"pebbles": PLUGIN.replace('name = "pebbles"', 'name = "stones"')}),
        ("static/import-quiet", {"pebbles": "print('hello')\n" + PLUGIN}),
        ("static/secrets-marked", {"pebbles": PLUGIN.replace("key: Annotated[Secret[str]", "api_pin: Annotated[str")}),
        ("scaffold/docs-checked", {"pebbles": WHOLE["pebbles.py"].replace("found, color:", "found, colour:")}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_code_is_told(
    code: str, changed: dict[str, str], cli: Callable[..., Done], package: Callable[..., Path]
) -> None:
    package(**changed)
    done = cli("plugin", "check", "--json")
    assert code in codes(done), done.out


def test_a_wheel_is_looked_at_as_it_is(cli: Callable[..., Done], folder: Path) -> None:
    info = "flowlang_pebbles-1.2.3.dist-info"
    with zipfile.ZipFile(folder / "flowlang_pebbles-1.2.3-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pebbles.py", WHOLE["pebbles.py"])
        wheel.writestr(f"{info}/entry_points.txt", "[flowlang.connections]\npebbles = pebbles:PebblesPlugin\n")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: flowlang-pebbles\nVersion: 1.2.3\nRequires-Python: >=3.11\n"
            "Requires-Dist: flowlang>=0.1\nRequires-Dist: granite>=1.0; extra == 'rock'\n",
        )
    done = cli("plugin", "check", "flowlang_pebbles-1.2.3-py3-none-any.whl")
    assert done.out == "pebbles: no errors, no warnings\n"


def test_a_setup_py_is_read_and_not_run(cli: Callable[..., Done], package: Callable[..., Path], folder: Path) -> None:
    package(pyproject=None)
    (folder / "setup.py").write_text(
        "from setuptools import setup\nraise RuntimeError('run')\n"
        "setup(name='flowlang-pebbles', version='1.2.3', python_requires='>=3.11',\n"
        "      install_requires=['flowlang>=0.1', 'granite>=1.0'],\n"
        "      entry_points={'flowlang.connections': ['pebbles = pebbles:PebblesPlugin']})\n"
    )
    done = cli("plugin", "check", "--strict")
    assert done.out == "pebbles: no errors, no warnings\n"


def test_a_folder_of_the_tree_is_looked_at(cli: Callable[..., Done], folder: Path) -> None:
    """The guide's layout, outside of FlowLang's own tree."""
    place = folder / "connections/pebbles"
    place.mkdir(parents=True)
    (place / "provider.py").write_text(WHOLE["pebbles.py"])
    (place / "__init__.py").write_text(
        "from flowlang.connections import plugin_registry\nfrom .provider import PebblesPlugin\n"
        "plugin_registry.register(PebblesPlugin())\n"
    )
    done = cli("plugin", "check", "connections/pebbles", "--strict")
    assert done.out == "pebbles: no errors, no warnings\n"


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "setup.cfg"])
def test_what_cannot_be_read_is_refused(name: str, cli: Callable[..., Done], folder: Path) -> None:
    (folder / name).write_text("[[[ (")
    done = cli("plugin", "check")
    assert done.code == 2
    assert f"`{name}` cannot be read" in done.err


def test_no_plugin_is_refused(cli: Callable[..., Done], folder: Path) -> None:
    done = cli("plugin", "check")
    assert done.code == 2
    assert "holds no plugin: it needs a `pyproject.toml`" in done.err


# ---------------------------------------------------------------- docs


def test_the_page_is_written_and_held_against_the_code(
    cli: Callable[..., Done], package: Callable[..., Path], folder: Path
) -> None:
    package()
    assert cli("plugin", "docs", "--check").code == 1
    assert not (folder / "docs").exists()
    assert cli("plugin", "docs").code == 0
    text = (folder / "docs/pebbles-reference.md").read_text("utf-8")
    for part in (
        "# pebbles\n",
        "| `key` | string | required | The key; secret |",
        "## pebbles_find\n",
        "### Example\n",
    ):
        assert part in text
    assert cli("plugin", "docs", "--check").code == 0
    (folder / "pebbles.py").write_text(WHOLE["pebbles.py"].replace("The key", "The only key"))
    done = cli("plugin", "docs", "--check")
    assert done.code == 1
    assert "pebbles-reference.md is not current" in done.err
