"""The pages that `flowlang explain` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowlang.diagnostics import Code, Diagnostic
from flowlang.exceptions import ErrorClass
from flowlang.views.failures import FAILURES
from flowlang.views.text import Paint, page, plain, table, wrapped
from flowlang.views.verbs import Verb

_FIXES = {
    "certain": "`flowlang check --fix` mends it where only one thing can be meant; the rest is mended by hand.",
    "guess": "`flowlang check --fix --unsafe-fixes` mends it where the finding has a fix; look at the result.",
    "": "It is mended by hand.",
}


def fix_text(code: Code) -> str:
    """Who mends findings of a kind."""
    return _FIXES[code.fix]


def code_page(code: Code, paint: Paint = plain) -> str:
    first, _, rest = code.page.lstrip().partition("\n")
    body = page(outdented(rest))
    parts = [f"{paint(code.name, 'bold')}: finding of the check", first.rstrip(), body, fix_text(code)]
    return "\n\n".join(filter(None, parts))


def outdented(text: str) -> str:
    """`text` without the indentation that it has in the code, which its last line (that of the closing quotes) shows.

    `textwrap.dedent` would take away that of an example, too, where a page holds nothing else.
    """
    last = text.rpartition("\n")[2]
    base = last if not last.strip() else ""
    return "\n".join(line.removeprefix(base) for line in text.splitlines()).strip("\n").rstrip()


def error_page(error: ErrorClass, paint: Paint = plain) -> str:
    failure = FAILURES[error.name]
    return "\n".join(
        [
            f"{paint(error.name, 'bold')}: error class of failures in a run",
            "",
            f"{error.title}: {error.meaning}.",
            "",
            *wrapped(failure.causes),
            "",
            *wrapped(failure.remedy),
            retried(error),
            "",
            paint("Example", "bold"),
            *_indented(failure.example),
        ]
    )


def retried(error: ErrorClass) -> str:
    """When a failure of this class is tried again, in a sentence."""
    if error.name == "cancelled":
        return "It is never retried."
    if error.retryable:
        return "It may be retried when a step asks for it."
    return f"It is not retried, unless a step says `retry: {{on: [{error.name}]}}`."


def function_page(function: Mapping[str, Any], paint: Paint = plain) -> str:
    """`function`: signature, parameters, returns, summary, doc, example, result."""
    lines = [f"{paint(function['signature'], 'bold')}: function of expressions", ""]
    lines += wrapped(function["summary"])
    if function["doc"]:
        lines += ["", *wrapped(function["doc"])]
    if function["parameters"]:
        lines += ["", paint("Parameters", "bold"), *table(function["parameters"], indent="  ")]
    if function["returns"]:
        lines += ["", f"Returns {function['returns']}."]
    lines += ["", paint("Example", "bold"), f"  ${{{function['example']}}}", f"  → {function['result']}"]
    return "\n".join(lines)


def verb_page(verb: Verb, paint: Paint = plain) -> str:
    return "\n".join(
        [
            f"{paint(verb.name, 'bold')}: step of the language",
            "",
            *wrapped(f"{verb.summary} {verb.doc}"),
            "",
            paint("Keys", "bold"),
            *table(verb.keys, indent="  "),
            *(["", paint("Outputs", "bold"), *table(verb.outputs, indent="  ")] if verb.outputs else []),
            "",
            "Every step may have `id`, `if`, `timeout`, `retry`, `on_error`, `continue_on_error`, `description`.",
            "",
            *(
                line
                for name, text in (*verb.beside.items(), ("", verb.example))
                for line in [paint(f"Beside it, {name}" if name else "Example", "bold"), *_indented(text), ""]
            ),
            f"  → {verb.result}",
        ]
    )


def function_markdown(function: Any) -> str:
    """The page of a function as an editor shows it. `function`: an entry of the table of functions."""
    told = " ".join(filter(None, [function.summary, function.doc]))
    return f"`{function.signature}`\n\n{told}\n\n```\n${{{function.example}}}\n→ {function.result}\n```"


def finding_markdown(finding: Diagnostic, code: Code | None) -> str:
    """A finding with the page of its kind, as an editor shows it."""
    lines = [f"**{finding.code}**: {finding.message}", *finding.notes, *filter(None, [finding.suggestion])]
    if code is not None:
        first, _, rest = code.page.lstrip().partition("\n")
        lines += [first.rstrip(), outdented(rest)]
    return "\n\n".join(filter(None, lines))


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
