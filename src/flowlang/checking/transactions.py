"""`transaction`: its block, and the connection that the steps inside share."""

from __future__ import annotations

from flowlang.checking.calls import keeps, key_of
from flowlang.checking.checker import Checker
from flowlang.checking.rules import connection_choice, exactly_once, idempotency_key, transaction_block
from flowlang.checking.scope import Entry, Scope
from flowlang.checking.steps import Service, Walked, behind, block, walker
from flowlang.connections.base import transactional
from flowlang.document import model
from flowlang.plan import Site, Transaction


@walker(model.TransactionStep)
def transaction(checker: Checker, scope: Scope, step: model.TransactionStep, site: Site) -> Walked:
    """The block always runs, so what it defines is there behind it, except for streams: those end with it."""
    name = step.connection.text
    connection = checker.connections.get(name)
    around = checker.transactions.get(name)
    if connection is None:
        checker.add(connection_choice.unknown(step.connection, checker.connections))
    else:
        plugin = checker.catalogue.provider(connection.type.text).plugin
        checker.add(transaction_block.unsupported(step, connection, plugin))
    checker.add(transaction_block.nested(step, around))
    checker.add(transaction_block.waits(step))
    checker.add(idempotency_key.on_block(step))
    own = step.modifiers.idempotency_key
    key = key_of(checker, scope, own) if own is not None else None
    inner, outer = scope.inner(), checker.whole
    checker.transactions[name] = around or step.span
    checker.whole = step if step.modifiers.exactly_once else None
    body, ends = block(checker, inner, step.body, f"{site.path}.")
    checker.whole = outer
    once, writes = name in checker.once, name in checker.writing
    if around is None:
        del checker.transactions[name]
        checker.once.discard(name)
        checker.writing.discard(name)
    left = behind(inner.entries, step.span)
    if step.modifiers.exactly_once and connection is not None:
        _exactly_once(checker, step, connection, left, writes=writes)
    scope.leave(left)
    scope.streams.update(inner.streams)
    scope.present = inner.present
    if connection is None:
        return Walked(None, ends=ends)
    kept = tuple((each, entry.slot) for each, entry in left.items() if entry.state != "hidden")
    whole = step.modifiers.exactly_once
    again = whole or not writes
    planned = Transaction(site, checker.connection_places[name], name, body, once or whole, kept, whole, again)
    return Walked(planned, ends=ends, service=Service(again, key=key))


def _exactly_once(
    checker: Checker,
    step: model.TransactionStep,
    connection: model.Connection,
    left: dict[str, Entry],
    *,
    writes: bool,
) -> None:
    plugin = checker.catalogue.provider(connection.type.text).plugin
    if plugin is not None and not transactional(type(plugin)):
        return  # it cannot be a transaction at all
    shown = {name: entry.type for name, entry in left.items() if entry.state != "hidden"}
    known = not checker.full and all(each.severity != "error" for each in checker.findings)
    found = exactly_once.block(step, shown, keeping=keeps(checker, connection), writes=writes or not known)
    checker.add(found)
