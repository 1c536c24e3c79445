"""The guide's MyService in each of its forms, and what its author states for the kit."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.connections.guide import laying

from flowlang.connections import ConnectionPlugin, plugin_registry
from flowlang.services.files import plugin
from flowlang.testing import Operations, call

ROOT = Path(__file__).resolve().parents[2]

OPERATIONS = Operations(
    prepare=(call("myservice_create", resource_type="item", payload={"name": "one"}),),
    read=call("myservice_get", resource_id="1"),
    write=call("myservice_create", resource_type="item", payload={"name": "two"}),
    state=call("myservice_get", resource_id="1"),
    fails={"not_found": call("myservice_get", resource_id="nothing")},
)


@dataclass(frozen=True)
class Form:
    """`install` puts it where FlowLang finds it, given the folder that counts as `flowlang/connections/`, or gives it.
    `settings` are those that it needs beside the others to reach a server of this machine."""

    name: str
    file: Path
    install: Callable[[Path], object]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def plugin(self, tree: Path) -> type[ConnectionPlugin]:
        made = self.install(tree)
        if isinstance(made, type) and issubclass(made, ConnectionPlugin):
            return made
        return type(plugin_registry.get("myservice"))

    @property
    def lines(self) -> int:
        """How many lines of the file hold more than a comment, a docstring or nothing."""
        text = self.file.read_text("utf-8")
        if self.file.suffix == ".yaml":
            return sum(bool(line.partition("#")[0].strip()) for line in text.splitlines())
        return len(lines_of_code(text))


def lines_of_code(text: str) -> set[int]:
    """The numbers of the lines of a Python text that hold code. Docstrings are words, except where they are the
    example: a text that is assigned or returned counts."""
    found: set[int] = set()
    line: list[tokenize.TokenInfo] = []
    idle = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            if any(each.type != tokenize.STRING for each in line):
                found.update(number for each in line for number in range(each.start[0], each.end[0] + 1))
            line = []
        elif token.type not in idle:
            line.append(token)
    return found


YAML = ROOT / "examples/myservice/myservice.service.yaml"
SHORT = ROOT / "examples/myservice/short.py"
FORMS = (
    Form("guide", laying.HERE / "plugin/provider.py", laying.folder),
    Form("short", SHORT, lambda tree: laying.folder(tree, provider=SHORT.read_text("utf-8"))),
    Form("yaml", YAML, lambda tree: plugin(str(YAML)), {"allow_private": True}),
)
