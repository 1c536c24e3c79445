"""`flowlang explain`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import colours, out, say
from flowlang.views.text import Paint, painter

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from flowlang.diagnostics import Code

# Who registers kinds of findings. Each rule of the check has a module of its own, found in its folder.
_REGISTRARS = (
    "flowlang.api",
    "flowlang.cli.given",
    "flowlang.connections._messages",
    "flowlang.document.codes",
    "flowlang.document.yaml_codes",
    "flowlang.engine.inputs",
    "flowlang.expressions.codes",
    "flowlang.runs.refusals",
    "flowlang.services.codes",
    "flowlang.testing.codes",
)
_RULES = "flowlang.checking.rules"


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in _names() if name.startswith(incomplete)]


@click.command()
@click.argument("topic", metavar="CODE|FUNCTION|TASK|VERB|ERROR-CLASS|FILE", shell_complete=_complete)
def explain(topic: str) -> int:
    """Show the page of a finding's code, a function of expressions, a task, a step's verb, or an error class.

    For a flow FILE: the same flow with every default written out.
    """
    paint = painter(colours(sys.stdout))
    pages = _pages(topic, paint)
    if not pages and (os.path.exists(topic) or topic.endswith((".yaml", ".yml"))):
        page = _flow_page(topic)
        pages = [page] if page is not None else []
    elif not pages:
        raise _unknown(topic)
    if pages:
        out("\n\n".join(pages))
    return 0 if pages else 2


def _pages(topic: str, paint: Paint) -> list[str]:
    """Every page that `topic` may mean; as a rule there is one."""
    from flowlang.exceptions import ERROR_CLASSES
    from flowlang.expressions import FUNCTIONS
    from flowlang.views.pages import code_page, error_page, function_page, verb_page
    from flowlang.views.verbs import VERBS

    tables: tuple[tuple[Any, Callable[[Any, Paint], str]], ...] = (
        (codes(), code_page),
        (ERROR_CLASSES, error_page),
        (VERBS, verb_page),
    )
    pages = [view(known[topic], paint) for known, view in tables if topic in known]
    if topic in FUNCTIONS:
        pages.append(function_page(_function_record(FUNCTIONS[topic]), paint))
    if topic not in VERBS:
        pages += _task_page(topic, paint)
    return pages


def codes() -> dict[str, Code]:
    """Every kind of finding, whoever makes it."""
    import importlib
    import pkgutil

    from flowlang.diagnostics import CODES

    rules = importlib.import_module(_RULES)
    for name in (*_REGISTRARS, *(f"{_RULES}.{each.name}" for each in pkgutil.iter_modules(rules.__path__))):
        importlib.import_module(name)
    return CODES


def _function_record(function: Any) -> dict[str, Any]:
    from flowlang.expressions.types import Type

    parameters = []
    for each in function.parameters:
        kinds = " or ".join(dict.fromkeys(str(type_) for type_ in each.types))
        how = "any number of them" if each.variadic else "may be left out" if each.optional else ""
        parameters.append((each.name, kinds, how))
    return {
        "signature": function.signature,
        "parameters": parameters,
        "returns": str(function.returns) if isinstance(function.returns, Type) else "",
        "summary": function.summary,
        "doc": function.doc,
        "example": function.example,
        "result": function.result,
    }


def _task_page(name: str, paint: Paint) -> list[str]:
    """The page of a task, with how its service is asked again; none when there is no such task."""
    from flowlang.describing import manners
    from flowlang.exceptions import PluginError
    from flowlang.services.project import here
    from flowlang.tasks.files import FILE_TASKS
    from flowlang.tasks.signature import spec_of
    from flowlang.views import connections
    from flowlang.views.tasks import task_record, task_text

    if name in FILE_TASKS:
        return [task_text(task_record(spec_of(FILE_TASKS[name], name=name, origin="flowlang")), paint)]
    try:
        registry = here()
        plugin = registry.find_task(name)
        if plugin is None:
            return []
        text = task_text(task_record(registry.tasks(plugin.name)[name]), paint)
    except PluginError as error:
        raise Refused(str(error)) from error
    told = [f"{word.capitalize()}: {said}" for word, said in connections.manners(manners(plugin))]
    return ["\n".join([text, *(["", *told] if told else [])])]


def _names() -> list[str]:
    """Everything that has a page."""
    from flowlang.exceptions import ERROR_CLASSES
    from flowlang.expressions import FUNCTIONS
    from flowlang.services.project import here
    from flowlang.tasks.files import FILE_TASKS
    from flowlang.views.verbs import VERBS

    tasks = [task for plugin in here().all().values() for task in plugin.get_builtin_tasks()]
    return sorted({*codes(), *ERROR_CLASSES, *FUNCTIONS, *VERBS, *FILE_TASKS, *tasks})


def _unknown(topic: str) -> Refused:
    from flowlang.diagnostics import nearest, visible
    from flowlang.services.project import here
    from flowlang.views.keys import FLOW, MODIFIERS, SERVICE
    from flowlang.views.verbs import VERBS

    if topic in here():
        return Refused(f"`{topic}` is a connection type: see `flowlang connection info {topic}`")
    for place, keys in (("a step", (*MODIFIERS, *SERVICE)), ("a flow", FLOW)):
        for key in keys:
            if key.name == topic:
                return Refused(f"`{topic}` is a key of {place}: {key.doc}")
    for verb in VERBS.values():
        if topic in dict(verb.keys):
            return Refused(f"`{topic}` is a key of `{verb.name}`: see `flowlang explain {verb.name}`")
    close = nearest(topic, _names())
    known = "a finding's code, a function, a task, a verb, an error class, or a flow file"
    hint = f"did you mean `{close}`?" if close else f"give {known}"
    return Refused(f"nothing is called `{visible(topic)}`; {hint}")


def _flow_page(file: str) -> str | None:
    """The flow in `file` with its defaults; None, and its findings on stderr, when it is not valid."""
    from flowlang import api, explaining
    from flowlang.views.findings import findings_text

    checked = api.check(file)
    if checked.plan is None:
        say(findings_text(checked.findings, checked.sources, colour=colours(sys.stderr)))
        return None
    return explaining.explicit(checked).removesuffix("\n")
