"""Connection types and their tasks as pages in Markdown, from the records that `connection info --json` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flowlang.views.connections import bounds
from flowlang.views.tasks import EFFECTS, FORMS, literal

Record = Mapping[str, Any]


def connection_page(info: Record, example: str | None, task_link: str = "../tasks/{}.md") -> Iterator[str]:
    """The paragraphs of the page of a type. `example`: the flow that comes with it."""
    yield f"# {info['type']}"
    yield f"{_sentence(info['description'])} Version {info['version']}."
    needs = ", ".join(f"`{each['requirement']}`" for each in info["dependencies"])
    extra = f": `pip install 'flowlang[{info['type']}]'`" if info["source"] == "built-in" else ""
    yield f"It needs {needs}{extra}." if needs else "It needs nothing beyond Python."
    yield "## Settings"
    yield _settings(info["config"])
    yield "## Tasks"
    rows = [(f"[`{each['name']}`]({task_link.format(each['name'])})", _cell(each["summary"])) for each in info["tasks"]]
    yield _table(("task", ""), rows) if rows else "It brings none."
    if example is not None:
        yield "## Example"
        yield f"`flowlang connection example {info['type']}` writes it into a file."
        yield f"```yaml\n{example.rstrip()}\n```"


def _settings(fields: Sequence[Record]) -> str:
    rows = []
    for each in fields:
        default = "required" if each["required"] else f"`{literal(each['default'])}`" if "default" in each else ""
        about = [each["description"], bounds(each), "secret" if each["secret"] else ""]
        rows.append((f"`{each['key']}`", each["type"], _cell(default), _cell("; ".join(filter(None, about)))))
    return _table(("key", "type", "default", ""), rows) if rows else "It has none."


def task_page(task: Record, connection_link: str = "../connections/{}.md") -> Iterator[str]:
    """The paragraphs of the page of a task."""
    owner = task["connection_type"]
    yield f"# {task['name']}"
    yield _sentence(task["summary"])
    if task["description"]:
        yield task["description"]
    place = f"of [{owner}]({connection_link.format(owner)}) connections" if owner else "without a connection"
    again = " It may be repeated safely." if task["idempotent"] else ""
    yield f"A task {place}. It {EFFECTS[task['effect']]}.{again}"
    rows = [_parameter(each) for each in task["parameters"]]
    yield _table(("parameter", "type", "default", ""), rows) if rows else "It has no parameters."
    yield from _outputs(task)
    if task["example"]:
        yield "## Example"
        yield f"```yaml fragment\n{task['example'].rstrip()}\n```"


def _parameter(each: Record) -> tuple[str, ...]:
    about = [
        each["description"] or FORMS.get(each["form"], ""),
        "secret" if each["secret"] else "",
        "one of " + ", ".join(map(literal, each["choices"])) if "choices" in each else "",
    ]
    default = "required" if each["required"] else f"`{literal(each['default'])}`"
    return f"`{each['name']}`", _cell(each["type"]), _cell(default), _cell("; ".join(filter(None, about)))


def _outputs(task: Record) -> Iterator[str]:
    if task["outputs"] is None:
        yield "Its outputs are not declared: any key of what it returns."
    elif task["outputs"]:
        rows = [(f"`{each['name']}`", _cell(each["type"]), _cell(each["description"])) for each in task["outputs"]]
        yield _table(("output", "type", ""), rows)
        if task["streams"]:
            yield "The output is a stream: `for_each` and the tasks that take streams read it, once."
    else:
        yield "It has no outputs."


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads)]
    lines.append(["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(each)} |" for each in [*lines, *map(list, rows)])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _sentence(text: str) -> str:
    text = text or "(not described)"
    return text if text.endswith(".") else f"{text}."
