"""Text that is data is never read for expressions: it arrives everywhere byte for byte as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flowlang
from flowlang.events import LogWritten

PAYLOADS = [
    "${1 + 1}",
    "$${1 + 1}",
    "${inputs.text}",
    "${secrets.TOKEN}",
    "${env.HOME}",
    "{{7*7}}",
    "{{ inputs.text }}",
    "${{ 1 }}",
    "%s %(x)s {0} {x!r}",
    "`id` $(id)",
    "<%= 7 %> #{7}",
    "${",
    "}",
    "a ${ b } c",
    "\\${1}",
    "&anchor *alias !tag <<: {a: b}",
    "yes: [no, 012, 1:30]",
]

EVERYWHERE = """
flow: everywhere
connections:
  db: {type: sqlite, database: ":memory:"}
inputs:
  - {name: text, type: string, required: true}
  - {name: many, type: array, required: true}
vars:
  kept: ${inputs.text}
  framed: "<${inputs.text}>"
steps:
  - sqlite_execute: {query: "CREATE TABLE t (v TEXT)"}
  - sqlite_execute: {query: "INSERT INTO t VALUES (${inputs.text})"}
  - sqlite_query: {id: row, query: "SELECT v, v || '!' AS w FROM t WHERE v = ${vars.kept}"}
  - sqlite_batch_insert: {table: t, records: "${[{'v': x} for x in inputs.many]}"}
  - sqlite_query: {id: many, query: "SELECT v FROM t WHERE v IN (${inputs.many}) ORDER BY rowid"}
  - id: made
    set:
      plain: ${row.rows[0].v}
      again: ${made.plain}
      framed: "<${made.again}>"
      inside: {deep: ["${made.plain}"]}
      joined: ${join([made.plain, made.plain], '|')}
      through_json: ${from_json(json(made.plain))}
  - id: loop
    for_each: ${inputs.many}
    do:
      - {id: turn, set: {v: "${item}"}}
    collect: ${turn.v}
  - json_write: {path: "out.json", value: "${made}"}
  - json_read: {id: file, path: out.json}
  - csv_write: {path: "out.csv", rows: "${[{'v': made.plain}]}"}
  - csv_read: {id: sheet, path: out.csv}
  - id: lines
    for_each: ${sheet.rows}
    as: line
    do: [{id: cell, set: {v: "${line.v}"}}]
    collect: ${cell.v}
  - raise: {type: conflict, message: "${made.plain}"}
    id: failing
    on_error:
      - {id: told, set: {detail: "${error.detail}"}}
  - log: ${made.plain}
outputs:
  - {name: row, value: "${row.rows[0].v}"}
  - {name: longer, value: "${row.rows[0].w}"}
  - {name: many, value: "${[r.v for r in many.rows]}"}
  - {name: framed, value: "${made.framed}"}
  - {name: var, value: "${vars.framed}"}
  - {name: deep, value: "${made.inside.deep[0]}"}
  - {name: joined, value: "${made.joined}"}
  - {name: through_json, value: "${made.through_json}"}
  - {name: loop, value: "${loop.results}"}
  - {name: file, value: "${file.value.plain}"}
  - {name: sheet, value: "${lines.results[0]}"}
  - {name: detail, value: "${default(told.detail, 'nothing')}"}
"""


@pytest.mark.parametrize("text", PAYLOADS)
async def test_data_arrives_as_it_was(text: str, tmp_path: Path) -> None:
    """Through inputs, vars, set, rows of a database, files, loops, error texts, logs and outputs."""
    logs: list[str] = []

    def listen(event: Any) -> None:
        if isinstance(event, LogWritten):
            logs.append(event.message)

    result = await flowlang.run(
        text=EVERYWHERE,
        inputs={"text": text, "many": [text, f"{text} two"]},
        secrets={"TOKEN": "canary-of-the-secret"},
        files_root=tmp_path,
        on_event=listen,
    )
    assert result.succeeded, result.failure
    assert result.outputs == {
        "row": text,
        "longer": f"{text}!",
        "many": [text, text, f"{text} two"],
        "framed": f"<{text}>",
        "var": f"<{text}>",
        "deep": text,
        "joined": f"{text}|{text}",
        "through_json": text,
        "loop": [text, f"{text} two"],
        "file": text,
        "sheet": text,
        "detail": text,
    }
    assert logs == [text]
    assert json.loads(json.dumps(result.to_record()))["outputs"]["framed"] == f"<{text}>"


def boom(text: str) -> dict[str, Any]:
    raise ValueError(text)


@pytest.mark.parametrize("text", PAYLOADS)
async def test_what_an_error_says_is_data(text: str) -> None:
    """A task's error text reaches `error.detail` in a handler, and the failure of the run, as it was."""
    flow = (
        'flow: f\ninputs: [{name: t, type: string, required: true}]\nsteps:\n  - boom: {id: a, text: "${inputs.t}"}\n'
        "    on_error:\n      - {id: told, set: {detail: '${error.detail}', cause: '${error.cause}'}}\n"
        "      - {boom: {text: '${told.detail}'}}\n"
    )
    result = await flowlang.run(text=flow, inputs={"t": text}, tasks={"boom": boom})
    assert result.failure is not None
    assert result.failure.detail == text


async def test_the_environment_is_data(tmp_path: Path) -> None:
    """A variable that holds an expression is handed on as text."""
    flow = (
        "flow: f\nvars: {v: '${env.WORD}'}\nconnections: {db: {type: sqlite, database: '${env.FILE}'}}\nsteps:\n"
        "  - sqlite_query: {id: q, query: 'SELECT ${vars.v} AS v'}\n"
        "outputs: [{name: v, value: '${q.rows[0].v}'}]\n"
    )
    file = tmp_path / "a ${1+1}.db"
    result = await flowlang.run(text=flow, env={"WORD": "${secrets.X}", "FILE": str(file)})
    assert result.outputs == {"v": "${secrets.X}"}
    assert file.exists()
