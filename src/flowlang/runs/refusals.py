"""What a run is given: values that are accepted, secrets that are found, and what may not be kept without a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowlang import secretstore
from flowlang.api import InvalidFlowError, refused_secrets
from flowlang.diagnostics import Diagnostic, code
from flowlang.durable.codec import Unstorable, encode
from flowlang.durable.places import secret_calls
from flowlang.durable.records import StoredRun
from flowlang.durable.sealing import VARIABLE as KEY
from flowlang.durable.store import Store
from flowlang.engine.inputs import accept
from flowlang.exceptions import StoreError
from flowlang.plan import Call, Plan

NO_KEY = code(
    "no-store-key",
    """A durable run would have to keep something secret, and there is no key to encrypt it with.

What a durable run is given, and what its steps return, is kept in its store, so that it can go on after a crash. An
input with `secret: true`, and outputs that a secret flowed into, are kept encrypted with `FLOWLANG_STORE_KEY`; without
that variable such a run is refused. `flowlang runs key` makes a key.

A secret that is read as `${secrets.NAME}` needs no key: it is never stored, and looked up again when a run goes on.
""",
)


def unkept(plan: Plan, given: Mapping[str, Any], store: Store) -> list[Diagnostic]:
    """What a durable run would have to keep of secrets, without a key to do so."""
    if store.sealer.ready:
        return []
    help_ = f"make a key with `flowlang runs key` and set {KEY}, or read it as ${{secrets.NAME}}, which is not kept"
    findings = [
        Diagnostic(
            NO_KEY, f"input `{each.name}` is secret, and a durable run keeps its inputs", each.span, suggestion=help_
        )
        for each in plan.inputs
        if each.secret and each.name in given
    ]
    for call in secret_calls(plan):
        message = f"the outputs of `{call.site.path}` hold a secret, and a durable run keeps them"
        findings.append(Diagnostic(NO_KEY, message, _span(call), suggestion=help_))
    return findings


def _span(call: Call) -> Any:
    from flowlang.diagnostics import Position, Span

    start = Position(call.site.line, call.site.column)
    return Span(start, start, call.site.file)


def accepted(plan: Plan, given: Mapping[str, Any]) -> Mapping[str, Any]:
    values, findings = accept(plan, given)
    if findings:
        raise InvalidFlowError(findings[0].message, findings)
    return values


def secrets_of(
    record: StoredRun, plan: Plan, secrets: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[Mapping[str, str], list[Diagnostic]]:
    """The secrets that a run reads, found where it found them before, and what is missing of them."""
    given = dict(secrets)
    file = record.options.get("secrets_file")
    if file:
        try:
            given = {**secretstore.read_file(file), **given}
        except (OSError, ValueError) as error:
            raise StoreError(f"the secrets of run `{record.id}` cannot be read: {error}") from error
    return refused_secrets(plan, given, environment)


def kept_text(value: Any, what: str) -> str:
    """A value as the store keeps it. Raises `StoreError` for one that it cannot keep."""
    try:
        return encode(value)
    except Unstorable as error:
        raise StoreError(f"{what} cannot be kept in the store: {error}") from None


def inputs_text(plan: Plan, given: Mapping[str, Any], store: Store) -> str:
    text = kept_text(dict(given), "the inputs")
    return store.sealer.seal(text) if any(each.secret and each.name in given for each in plan.inputs) else text
