"""`transaction`: its block, and the connection that the steps inside share."""

from __future__ import annotations

from flowlang.checking.checker import Checker
from flowlang.checking.rules import connection_choice, transaction_block
from flowlang.checking.scope import Scope
from flowlang.checking.steps import Walked, behind, block, walker
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
    inner = scope.inner()
    checker.transactions[name] = around or step.span
    body, ends = block(checker, inner, step.body, f"{site.path}.")
    once = name in checker.once
    if around is None:
        del checker.transactions[name]
        checker.once.discard(name)
    scope.leave(behind(inner.entries, step.span))
    scope.streams.update(inner.streams)
    scope.present = inner.present
    if connection is None:
        return Walked(None, ends=ends)
    return Walked(Transaction(site, checker.connection_places[name], name, body, once), ends=ends)
