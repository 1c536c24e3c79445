"""A service file: text → `Service`, with everything that is wrong with it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

from flowlang.connections.http.errors import RequestFailed
from flowlang.connections.http.settings import AUTH_NEEDS, AUTH_TAKES, SCHEMA
from flowlang.connections.http.urls import parsed
from flowlang.diagnostics import Diagnostic, has_errors, ordered
from flowlang.document import codes as document_codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.inputs import read_inputs
from flowlang.document.model import Input, Name, Retry
from flowlang.document.nodes import Mapping, Scalar
from flowlang.document.retry import read_retry
from flowlang.document.yaml_codes import TOP_LEVEL
from flowlang.document.yaml_reader import read_yaml
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions.types import Type, record
from flowlang.records import frozen
from flowlang.services import codes
from flowlang.services.model import Rate, Rule, Service
from flowlang.services.operations import read_operations
from flowlang.services.settings import TRANSPORT, hidden, type_of
from flowlang.services.templates import REPLY, Formula, Roots, Templates, secret
from flowlang.services.trials import Trial, read_trials

SUFFIX = ".service.yaml"
KEYS = (
    "service",
    "kind",
    "version",
    "description",
    "task_prefix",
    "config",
    "base_url",
    "auth",
    "headers",
    "rate_limit",
    "retry",
    "idempotency",
    "pages",
    "errors",
    "ping",
    "operations",
    "tests",
)
RULE_KEYS = ("when", "class", "message", "retryable", "retry_after", "retry_at")
RATE_KEYS = ("requests", "per")
_ALIASES = {
    "name": "service", "type": "kind", "settings": "config", "inputs": "config", "url": "base_url",
    "prefix": "task_prefix", "authentication": "auth", "pagination": "pages", "tasks": "operations",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@frozen
class Read:
    """What was read of a service file. `service` is None when there are errors; `text` is its source; `trials` are the
    tests in it."""

    service: Service | None
    findings: tuple[Diagnostic, ...]
    text: str
    trials: tuple[Trial, ...] = ()


def read_service(file: str, raw: bytes | str | None = None) -> Read:
    """The service in `file`, whose text is `raw` when that is given. Raises `OSError` when it cannot be read."""
    if raw is None:
        with open(file, "rb") as opened:
            raw = opened.read()
    text = raw if isinstance(raw, str) else raw.decode("utf-8-sig", "replace")
    node, found = read_yaml(raw, file)
    if not isinstance(node, Mapping):
        return Read(None, tuple(_no_object(each) for each in ordered(found)), text)
    context = Context(node.source)
    reader = _Reader(context, node, file, text)
    service = reader.service()
    trials = read_trials(reader.fields, service) if service is not None else ()
    findings = tuple(ordered([*found, *context.findings.all]))
    return Read(None if has_errors(findings) else service, findings, text, trials)


def _no_object(finding: Diagnostic) -> Diagnostic:
    """What is said of a text that is no flow, for one that is no service file."""
    if finding.code != TOP_LEVEL:
        return finding
    message = "a service file is an object with the keys `service`, `kind` and `operations`"
    return replace(finding, code=document_codes.WRONG_TYPE, message=message, suggestion=None, fix=None)


class _Reader:
    def __init__(self, context: Context, node: Mapping, file: str, text: str) -> None:
        self.context = context
        self.findings = context.findings
        self.templates = Templates(context)
        self.fields = Fields(context, node, "a service", KEYS, also=_ALIASES)
        self.file, self.text = file, text

    def service(self) -> Service | None:
        fields = self.fields
        for key in ("service", "kind", "version", "description", "base_url", "operations"):
            fields.required(key)
        name = self._name()
        fields.word("kind", ("http",))
        version = fields.text("version", numbers=True)
        description = fields.text("description")
        settings = self._settings()
        config = Roots({"config": record({each.name.text: type_of(each) for each in settings})})
        address, fixed = self._address(config)
        auth, headers = self._auth(config), self._headers(config)
        prefix = self._prefix(name)
        operations = read_operations(self.fields, self.templates, config, prefix)
        ping = self._ping([each.name for each in operations])
        if name is None or address is None:
            return None
        return Service(
            name=name.text,
            version=version.text if version else "",
            description=description.text if description else "",
            prefix=prefix,
            settings=settings,
            base_url=address,
            fixed_url=fixed,
            auth=auth,
            headers=headers,
            rate=self._rate(),
            retry=self._retry(),
            rules=tuple(self._rules()),
            ping=ping,
            operations=operations,
            file=self.file,
            text=self.text,
        )

    # ------------------------------------------------------------ what it is

    def _name(self) -> Name | None:
        name = self.fields.text("service")
        if name is None:
            return None
        if not _NAME.fullmatch(name.text):
            message = f"`{name.text}` cannot name a connection type: letters, digits, `_` and `-`, a letter first"
            self.findings.add(document_codes.BAD_NAME, message, name.span)
            return None
        wanted = os.path.basename(self.file).removesuffix(SUFFIX)
        if self.file.endswith(SUFFIX) and wanted != name.text:
            message = f"the file is called `{wanted}{SUFFIX}` and the service `{name.text}`; they must be the same"
            self.findings.add(document_codes.BAD_NAME, message, name.span, f"rename one, such as `service: {wanted}`")
        return name

    def _prefix(self, name: Name | None) -> str:
        given = self.fields.text("task_prefix")
        if given is not None:
            if given.text.isidentifier():
                return given.text
            self.findings.add(document_codes.BAD_NAME, f"`{given.text}` cannot begin the name of a task", given.span)
        return name.text.replace("-", "_") if name is not None else "service"

    def _settings(self) -> tuple[Input, ...]:
        found = read_inputs(self.fields, "config", "setting")
        for each in found:
            if each.name.text in (*TRANSPORT, "base_url"):
                message = f"`{each.name.text}` is a setting that every service has"
                self.findings.add(codes.SHAPE, message, each.name.span, "remove it, or give it another name")
            if hidden(each) and each.has_default and each.default is not None:
                message = f"the default of the secret `{each.name.text}` is a credential for everybody"
                self.findings.add(codes.CREDENTIAL, message, each.default_span or each.span, "remove the default")
        return found

    # ------------------------------------------------------------ where it is, and who asks

    def _address(self, config: Roots) -> tuple[Formula | None, str | None]:
        node = self.fields.node("base_url")
        if node is None:
            return None, None
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            wrong_type(self.context, "base_url", node, "a text such as `https://api.example.com`")
            return None, None
        formula = self.templates.formula(self.context.value(node), config, "base_url")
        self._shown_nowhere(formula.type, node, "an address")
        text = node.text if formula.constant else None
        try:
            place = parsed(text or _sample(node.text), "`base_url`")
            if place.query:
                raise RequestFailed("`base_url` holds a query: give it to each operation as `query`", "validation")
        except RequestFailed as error:
            self.findings.add(codes.BAD_ADDRESS, str(error), node.span)
            return None, None
        return formula, text

    def _auth(self, config: Roots) -> Formula | None:
        node = self.fields.object("auth", 'an object such as `{type: bearer, token: "${config.token}"}`')
        if node is None:
            return None
        kinds = tuple(AUTH_TAKES)
        written = node.get("type")
        kind = written.text if isinstance(written, Scalar) and written.text in AUTH_TAKES else None
        known = AUTH_TAKES[kind] if kind else tuple(SCHEMA["properties"]["auth"]["properties"])
        inner = Fields(self.context, node, f"`auth` of type {kind}" if kind else "`auth`", ("type", *known))
        inner.required("type")
        inner.word("type", kinds)
        for key in AUTH_NEEDS.get(kind or "none", ()):
            inner.required(key)
        declared = SCHEMA["properties"]["auth"]["properties"]
        parts = {}
        for key, (_, value) in inner.entries.items():
            meant = self.context.value(value)
            recipe, given = self.templates.value(meant, config)
            parts[key] = (recipe, given)
            if declared[key].get("writeOnly") and isinstance(value, Scalar) and "${" not in value.text:
                message = f"`auth.{key}` is written out: whoever has the file has the credential"
                help_ = f"declare a secret setting and read it: `{key}: ${{config.{key}}}`"
                self.findings.add(codes.CREDENTIAL, message, value.span, help_)
        return self.templates.together(parts, "auth")

    def _headers(self, config: Roots) -> Formula | None:
        node = self.fields.object("headers", "an object of names and values")
        if node is None:
            return None
        return self.templates.formula(self.context.value(node), config, "headers", omit=True)

    def _shown_nowhere(self, given: Type, node: Scalar, what: str) -> None:
        if secret(given):
            self.findings.add(codes.SECRET_SHOWN, f"a secret stands in {what}, which is shown", node.span)

    # ------------------------------------------------------------ how it wants to be asked

    def _rate(self) -> Rate | None:
        node = self.fields.object("rate_limit", "an object such as `{requests: 5, per: 1s}`")
        if node is None:
            return None
        inner = Fields(self.context, node, "`rate_limit`", RATE_KEYS, also={"limit": "requests", "every": "per"})
        inner.required("requests")
        inner.required("per")
        requests, per = inner.integer("requests", least=1), inner.limit("per", "write one such as `1s`")
        return Rate(requests, per) if requests is not None and per is not None else None

    def _retry(self) -> Retry | None:
        node = self.fields.node("retry")
        return read_retry(self.context, node, None) if node is not None else None

    def _rules(self) -> list[Rule]:
        return [each for each in map(self._rule, self.fields.items("errors", Mapping)) if each is not None]

    def _rule(self, node: Any) -> Rule | None:
        if not isinstance(node, Mapping):
            wrong_type(self.context, "errors", node, "objects with `when` and `class`")
            return None
        inner = Fields(self.context, node, "a rule of `errors`", RULE_KEYS, also={"if": "when", "type": "class"})
        when = inner.required("when")
        inner.required("class")
        word = inner.word("class", tuple(ERROR_CLASSES))
        retryable = inner.boolean("retryable", True) if "retryable" in inner else None
        roots = Roots(REPLY)
        formulas: dict[str, Formula | None] = {}
        for key in ("message", "retry_after", "retry_at"):
            value = inner.node(key)
            formulas[key] = self.templates.formula(self.context.value(value), roots, key) if value is not None else None
        if when is not None and not isinstance(when, Scalar):
            wrong_type(self.context, "when", when, "a condition")
        if word is None or not isinstance(when, Scalar):
            return None
        condition = self.templates.condition(when, roots, "when")
        return Rule(condition, word, formulas["message"], retryable, formulas["retry_after"], formulas["retry_at"])

    def _ping(self, names: list[str]) -> str | None:
        return self.fields.word("ping", names) if "ping" in self.fields else None


def _sample(text: str) -> str:
    """An address with a word in the place of each expression, to see whether the rest of it is one."""
    return re.sub(r"\$\{[^}]*\}", "x", text)
