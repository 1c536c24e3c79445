"""The guide's MyService in each of its forms, and what its author states for the kit."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.connections.guide import laying

from flowlang.connections import ConnectionPlugin, plugin_registry
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
    """`install` puts it where FlowLang finds it, given the folder that counts as `flowlang/connections/`."""

    name: str
    file: Path
    install: Callable[[Path], object]

    def plugin(self, tree: Path) -> type[ConnectionPlugin]:
        self.install(tree)
        return type(plugin_registry.get("myservice"))

    @property
    def lines(self) -> int:
        """How many lines of the file hold more than a comment, a docstring or nothing."""
        return len(lines_of_code(self.file.read_text("utf-8")))


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


SHORT = ROOT / "examples/myservice/short.py"
FORMS = (
    Form("guide", laying.HERE / "plugin/provider.py", laying.folder),
    Form("short", SHORT, lambda tree: laying.folder(tree, provider=SHORT.read_text("utf-8"))),
)
