"""The page of the docs that shows what `flowlang plugin new` writes: the templates themselves."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.authoring.new import KINDS, common, rendered

_LANGUAGES = {"py": "python", "toml": "toml", "yaml": "yaml fragment", "yml": "yaml fragment"}
_SHOWN = ("provider.py", "errors.py", "client.py", "handle.py", "example.yaml", "double.py", "test_conformance.py",
          "test_acme.py")  # fmt: skip
_INTRODUCTION = """\
    flowlang plugin new acme --kind client

writes the package `flowlang-acme`: a plugin that is whole, with a double of its service, and that passes its own tests,
the [conformance kit](conformance.md) among them, as it is. From there it is changed, a piece at a time, with tests that
run from the first minute. This page shows those files. They are the templates, under the name `acme`.

| file | what it is |
|---|---|
| `pyproject.toml` | the package: its entry point, the versions of FlowLang that it works with, its tools |
| `src/flowlang_acme/provider.py` | the plugin, in [the short form](plugins.md#the-short-form) |
| `src/flowlang_acme/errors.py` | what the service's errors mean for a flow |
| `src/flowlang_acme/example.yaml` | a flow that the tests run, and `flowlang connection example acme` writes |
| `tests/double.py` | the service as the tests need it, inside their own process |
| `tests/test_conformance.py` | what every plugin proves, and the calls that prove it |
| `tests/test_acme.py` | what is special to this service |
| `docs/acme-reference.md` | settings and tasks, as [`flowlang plugin docs`](cli.md#publishing-a-plugin) writes them |
| `docs/acme.md`, `README.md`, `CHANGELOG.md`, `LICENSE` | what else users read |
| `.github/workflows/ci.yml` | the checks, on every push; that the reference is current is one of them |

With `--in-tree` only the folder `connections/acme/` of [the guide](plugins.md#where-a-plugin-lives) is written."""


def page() -> Iterator[str]:
    """The page, part by part."""
    yield "# What a new plugin begins with"
    yield _INTRODUCTION
    yield from _file("pyproject.toml", common("client", "acme")["pyproject.toml"])
    for kind, about in KINDS.items():
        yield f"## {kind}"
        yield f"For {about}: `flowlang plugin new acme --kind {kind}`."
        texts = {path.rpartition("/")[2]: text for path, text in rendered(kind, "acme").items()}
        for name in _SHOWN:
            if name in texts:
                yield from _file(name, texts[name])


def _file(name: str, text: str) -> Iterator[str]:
    language, *marks = _LANGUAGES[name.rpartition(".")[2]].split()
    yield f"`{name}`:"
    yield f"```{' '.join([language, *(marks or [f'file={name}'])])}\n{text}```"
