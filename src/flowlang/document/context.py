"""What the parse functions share while one file is read: its findings, the names defined so far, its values."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Ordered
from typing import TypeVar, cast

from flowlang.diagnostics import Edit, Fix, Severity, Span
from flowlang.document import codes
from flowlang.document.findings import Findings, meant
from flowlang.document.model import Computed, Constant, ListValue, Name, ObjectValue, Place, Value
from flowlang.document.names import trouble_with
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence, Source
from flowlang.document.texts import shown
from flowlang.expressions.parser import BROKEN, parse_condition, parse_template
from flowlang.expressions.syntax import Expression, Problem, Template

T = TypeVar("T")

_MOST_EDITS = 500
_HYPHENED = re.compile(r"[A-Za-z_]\w*(?:-\w+)+")
_EXPRESSION = re.compile(r"\$\{[^}\n]*")


class Context:
    """One file while it is read."""

    def __init__(self, source: Source, pause: Callable[[], None] | None = None) -> None:
        self.source = source
        self.pause = pause
        self.findings = Findings()
        self.patterns = 0  # how many were compiled
        self.unread: set[str] = set()  # ids of steps that could not be made
        self._ids: dict[str, Name] = {}
        self._fresh: list[dict[str, Name]] = []  # ids of each branch of an `if` or `switch` around this place
        self._templates: dict[str, Template] = {}  # those without problems, by their text: many are written again
        self._conditions: dict[str, Expression] = {}
        self._renamed: dict[str, str] = {}  # names with a hyphen -> what they should be, of the same length
        self._mentions: dict[str, list[Edit]] | None = None

    # ------------------------------------------------------------ names

    def name(self, scalar: Scalar, kind: str) -> Name:
        """A name that expressions read; one with a hyphen goes on under its mended name, here and where it is
        read, so that one mistake is one finding."""
        trouble = trouble_with(scalar.text, kind)
        if trouble is None:
            return Name(scalar.text, scalar)
        fix = None
        span = scalar.span
        if trouble.same_place and trouble.instead:
            self._renamed[scalar.text] = trouble.instead
            mentions = self._mentioned(scalar.text) if not self.findings.full else ()
            if len(mentions) < _MOST_EDITS:
                edits = (Edit(span, trouble.instead), *mentions)
                fix = Fix(f"rename to {shown(trouble.instead)}", edits)
        self.findings.add(trouble.code, trouble.message, span, trouble.instead and meant(trouble.instead), fix=fix)
        return Name(trouble.instead if trouble.instead and trouble.same_place else scalar.text, span)

    def define(self, name: Name, what: str = "step") -> None:
        """Notes the id of a step; each belongs to one step of the flow."""
        earlier = self._ids.get(name.text)
        if earlier is not None:
            message = f"{what} {shown(name.text)} is already defined at {earlier.span.start}"
            self.findings.add(codes.ALREADY_DEFINED, message, name.span, "rename one of the two")
            return
        self._ids[name.text] = name
        if self._fresh:
            self._fresh[-1][name.text] = name

    def branches(self, readers: list[Callable[[], T]]) -> list[T]:
        """What `readers` read, of which at run time only one is taken: they may define the same ids."""
        results: list[T] = []
        defined: dict[str, Name] = {}
        for reader in readers:
            self._fresh.append({})
            results.append(reader())
            mine = self._fresh.pop()
            for each in mine:
                del self._ids[each]
            defined |= mine
        self._ids |= defined
        if self._fresh:
            self._fresh[-1].update(defined)
        return results

    def _mentioned(self, name: str) -> Ordered[Edit]:
        """The edits that rename `name` in the expressions of the file."""
        if self._mentions is None:
            self._mentions = {}
            for area in _EXPRESSION.finditer(self.source.text):
                for match in _HYPHENED.finditer(self.source.text, area.start(), area.end()):
                    edit = Edit(self.source.span(*match.span()), match[0].replace("-", "_"))
                    self._mentions.setdefault(match[0], []).append(edit)
        return self._mentions.get(name, ())

    # ------------------------------------------------------------ values

    def value(self, node: Node) -> Value:
        """What a node means as a value: constants, expressions, lists and objects of them."""
        if isinstance(node, Scalar):
            return self.scalar(node)
        if isinstance(node, Sequence):
            return ListValue(tuple([self.value(each) for each in node.items]), node)
        return self.object(node)

    def object(self, node: Mapping) -> ObjectValue:
        return ObjectValue(self.entries(node), node)

    def entries(self, node: Mapping) -> tuple[tuple[Name, Value], ...]:
        return self.pairs(node.entries)

    def pairs(self, entries: Iterable[tuple[Scalar, Node]]) -> tuple[tuple[Name, Value], ...]:
        return tuple([(self.key(key), self.value(value)) for key, value in entries])

    def key(self, key: Scalar) -> Name:
        if "${" in key.text:
            message = f"{shown(key.text)} stands in a key, where nothing is computed"
            self.findings.add(codes.COMPUTED_KEY, message, key.span)
        return Name(key.text, key)

    def scalar(self, node: Scalar) -> Constant | Computed:
        value, text = node.value, node.text
        braces = "{{" in text
        if value.__class__ is not str or ("${" not in text and not braces):
            return Constant(value, node, node)
        if not braces and "$${" in text and "${" not in text.replace("$${", " "):
            return Constant(text.replace("$${", "${"), node, node)
        text = self._current(text)
        template = self._templates.get(text)
        if template is None:
            template, problems = parse_template(text)
            self._report(node, problems)
            if not problems:
                self._templates[text] = template
        if braces:
            texts = [part for part in template.parts if isinstance(part, str)]
            if len(texts) == len(template.parts):
                return Constant("".join(texts), node, node)
        return Computed(template, node, node)

    def condition(self, node: Scalar) -> Expression:
        """The expression of a condition; one of unknown type when it cannot be parsed."""
        text = str(node.value).lower() if isinstance(node.value, bool) else node.text
        text = self._current(text)
        known = self._conditions.get(text)
        if known is not None:
            return known
        expression, problems = parse_condition(text)
        self._report(node, problems)
        if expression is not None and not problems:
            self._conditions[text] = expression
        return expression or Expression(text, 0, ast.Constant(BROKEN))

    def broken(self, at: Place, scalar: Scalar) -> Computed:
        """A value of unknown type, in place of one that cannot be made."""
        return Computed(Template((Expression("", 0, ast.Constant(BROKEN)),)), at, scalar)

    def _current(self, text: str) -> str:
        """`text` with names that have a hyphen as they should be written."""
        if not self._renamed or "-" not in text:
            return text
        return _HYPHENED.sub(lambda match: self._renamed.get(match[0], match[0]), text)

    def _report(self, node: Scalar, problems: list[Problem]) -> None:
        for each in problems:
            if self.findings.full:
                return
            span = node.locate(each.start, each.end)
            fix = _replacement(node, each, span)
            severity = cast("Severity", each.severity)
            self.findings.add(
                each.code, each.message, span, each.suggestion, notes=each.notes, fix=fix, severity=severity
            )


def _replacement(node: Scalar, problem: Problem, span: Span) -> Fix | None:
    """The fix for a problem, its text written as the quotes around it need it."""
    text = problem.replacement
    if text is None:
        return None
    if node.style == "double":
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    elif node.style == "single":
        text = text.replace("'", "''")
    elif node.style == "plain" and re.search(r": | #|[\[\]{},]", text):
        return None
    return Fix(f"replace by {shown(problem.replacement or '')}", (Edit(span, text),))
