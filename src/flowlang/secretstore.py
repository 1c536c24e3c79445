"""Where `secrets.NAME` comes from: a file handed over, a folder of files, variables of the environment.

In this order: `given` (`--secrets FILE`, or a mapping in the library), the folder `FLOWLANG_SECRETS_DIR` with one
file for each secret (as Docker and Kubernetes mount them), the variable `FLOWLANG_SECRET_<NAME>`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

FOLDER = "FLOWLANG_SECRETS_DIR"
PREFIX = "FLOWLANG_SECRET_"


def resolve(names: Iterable[str], given: Mapping[str, str], env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The values of `names` that are set, and the names that are not set anywhere."""
    found = dict(given)
    missing: list[str] = []
    for name in names:
        if name in found:
            continue
        value = _from_folder(env.get(FOLDER), name)
        if value is None:
            value = env.get(PREFIX + name, env.get(PREFIX + name.upper()))
        if value is None:
            missing.append(name)
        else:
            found[name] = value
    return found, missing


def _from_folder(folder: str | None, name: str) -> str | None:
    if not folder or "/" in name or name in (".", ".."):
        return None
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read().removesuffix("\n").removesuffix("\r")


def read_file(path: str) -> dict[str, str]:
    """The secrets of a YAML mapping of texts (`.yaml`, `.yml`) or of a dotenv file (`NAME=value` lines).

    Raises `OSError` when it cannot be read and `ValueError` (with the line, never a value) when it is neither.
    """
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    return _from_yaml(text, path) if path.endswith((".yaml", ".yml")) else _from_dotenv(text, path)


def _from_yaml(text: str, path: str) -> dict[str, str]:
    from flowlang.document.nodes import Mapping as MappingNode
    from flowlang.document.nodes import Scalar
    from flowlang.document.yaml_reader import read_yaml

    node, findings = read_yaml(text, path)
    if findings or not isinstance(node, MappingNode):
        line = findings[0].span.start.line if findings else 1
        raise ValueError(f"{path}:{line}: a secrets file is a YAML mapping of names to texts")
    secrets: dict[str, str] = {}
    for name, value in node.entries:
        if not isinstance(value, Scalar):
            raise ValueError(f"{path}:{name.span.start.line}: secret `{name.text}` must be a text")
        secrets[name.text] = value.text
    return secrets


def _from_dotenv(text: str, path: str) -> dict[str, str]:
    secrets: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{path}:{number}: expected NAME=value")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        secrets[name.strip()] = value
    return secrets
