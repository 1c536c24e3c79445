"""A key in a long flow: how long the language server takes to answer it, asked as an editor asks."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness import ROOT, Figure, seconds

STEPS = 400  # of five lines each
KEYS = 60
TYPED = " s12.count +"
GAP = 0.2  # seconds between two keys: the check of the text before is then under way


def flow() -> str:
    """A flow of 2,000 lines, each step of which reads the one before."""
    head = "flow: long\ninputs: [{name: size, type: integer, default: 1}]\nconnections:\n"
    head += '  db: {type: sqlite, database: ":memory:"}\nsteps:\n'
    steps = []
    for number in range(STEPS):
        read = f"s{number - 1}.rows[0].x" if number else "inputs.size"
        steps.append(
            f"  - sqlite_query:\n      id: s{number}\n      connection: db\n"
            f'      query: "SELECT ${{inputs.size}} + ? AS x"\n      params: ["${{{read}}}"]\n'
        )
    return head + "".join(steps)


class Wire:
    """The pipes of a server, read by whoever waits."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "flowlang", "lsp"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment)
        self.number = 0

    def send(self, method: str, params: Any, **more: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        stream = self.process.stdout
        assert stream is not None
        length = 0
        while (line := stream.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        return dict(json.loads(stream.read(length)))

    def ask(self, method: str, params: Any) -> Any:
        self.number += 1
        self.send(method, params, id=self.number)
        while (message := self.receive()).get("id") != self.number:
            pass
        return message["result"]


def keystrokes(folder: Path) -> tuple[list[float], list[float]]:
    """Seconds until each key was answered with proposals, and until findings followed a pause."""
    wire = Wire()
    uri = (folder / "long.yaml").as_uri()
    lines = flow().split("\n")
    wire.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
    wire.send("initialized", {})
    text = "\n".join([*lines[:-1], '  - log: "${"', ""])
    wire.send("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}})
    while wire.receive().get("method") != "textDocument/publishDiagnostics":
        pass
    row, column = len(lines) - 1, len('  - log: "${')
    answered, told = [], []
    for version in range(2, KEYS + 2):
        began = time.perf_counter()
        place = {"line": row, "character": column}
        change = {"range": {"start": place, "end": place}, "text": TYPED[version % len(TYPED)]}
        wire.send(
            "textDocument/didChange", {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]}
        )
        column += 1
        asked = {"textDocument": {"uri": uri}, "position": {"line": row, "character": column}}
        wire.ask("textDocument/completion", asked)
        answered.append(time.perf_counter() - began)
        if version % 10 == 0:
            while wire.receive().get("params", {}).get("version") != version:
                pass
            told.append(time.perf_counter() - began)
        time.sleep(GAP)
    wire.ask("shutdown", None)
    wire.send("exit", None)
    wire.process.wait(30)
    return answered, told


def figures(folder: Path) -> list[Figure]:
    answered, told = keystrokes(folder)
    late = sorted(answered)[int(len(answered) * 0.9)]
    how = (
        f"`flowlang lsp` over its pipes, a flow of {STEPS * 5:,} lines; a change and the proposals for it, more than "
        f"{STEPS} names; {KEYS} keys, one each {GAP:g} s, so that the check of the text before is under way; "
    )
    return [
        Figure(
            "a key in an editor, nine of ten",
            "",
            f"median {seconds(statistics.median(answered))}, slowest {seconds(max(answered))}",
            late * 1e3,
            "ms",
            50,
            how + "the ninth decile",
        ),
        Figure(
            "findings after a key",
            "",
            seconds(statistics.median(told)),
            statistics.median(told) * 1e3,
            "ms",
            None,
            how + "until the findings of that text are shown, the pause before the check included",
        ),
    ]
