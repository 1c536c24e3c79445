"""Task steps: which task, on which connection, with which arguments, giving which outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from flowlang.checking import literal_secrets
from flowlang.checking.catalogue import Entry as Known
from flowlang.checking.checker import Checker
from flowlang.checking.effects import rerun
from flowlang.checking.rules import (
    cached_step,
    connection_choice,
    exactly_once,
    idempotency_key,
    literal_credential,
    retried_write,
    secret_stored,
    selected_outputs,
    sql_text,
    stream_use,
    task_parameters,
    unknown_task,
    wrong_connection,
)
from flowlang.checking.scope import Scope
from flowlang.checking.steps import Service, Walked, attempt_limit, slot_of, walker
from flowlang.checking.values import Compiler, Wanted, constant, evaluator, in_dict, text
from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.holes import writes
from flowlang.connections.base import transactional
from flowlang.diagnostics import Span, nearest
from flowlang.document import model
from flowlang.expressions.types import ANY, OBJECT, STRING, Type, accepts, holds_secret, record
from flowlang.expressions.unit import Recipe
from flowlang.plan import Caching, Call, Evaluator, Operation, Site, invoker
from flowlang.records import frozen
from flowlang.tasks.spec import Parameter, TaskSpec
from flowlang.tasks.values import Sql


@walker(model.TaskStep)
def task(checker: Checker, scope: Scope, step: model.TaskStep, site: Site) -> Walked:
    """The plan of a task step and the type of its outputs."""
    slot = slot_of(scope, step)
    known, connection = resolve(checker, step)
    if known is None:
        compiler = Compiler(checker, scope)
        for name, value in step.arguments:  # what stands in the arguments is checked all the same
            compiler.value(value, Wanted(name.text))
        return Walked(None, ANY, slot)
    spec = known.spec
    dialect = _dialect(checker, spec)
    compiler = Compiler(checker, scope, dialect)
    arguments, secret = _arguments(checker, compiler, step, spec)
    spec = as_written(spec, compiler.statements, dialect)
    if step.selected is not None:
        checker.add(selected_outputs.check(step, spec))
    policy = _policy(checker, connection)
    retry = step.modifiers.retry or checker.flow.defaults.retry or policy
    if retry is not None:
        checker.add(retried_write.check(step, spec, retry, dialect))
    outputs, secret_outputs = outputs_of(checker, step, spec)
    name_ = connection.name.text if connection is not None else None
    around = checker.transactions.get(name_) if name_ is not None else None
    if secret and name_ is not None:
        checker.given_secrets.add(name_)
    if step.modifiers.exactly_once:
        checker.add(exactly_once.check(step, spec, keeping(checker, spec, connection)))
        if around is not None and name_ is not None:
            checker.once.add(name_)
    service = _service(checker, scope, step, spec, site, around)
    shared = around is not None and "connection" in spec.injects
    if shared and name_ is not None and spec.effect not in ("none", "read"):
        checker.writing.add(name_)
    if checker.whole is not None and not (shared and name_ == checker.whole.connection.text):
        checker.add(exactly_once.outside(step, spec, checker.whole, service.repeatable))
    if policy is not None:
        service = replace(service, retry=policy)
    planned = Call(
        site=site,
        operation=_operation(checker, known, spec, name_, once=step.modifiers.exactly_once),
        arguments=compiler.function(in_dict(arguments), site.path),
        slot=slot,
        timeout=attempt_limit(checker, step, retry),
        selected=tuple([each.text for each in step.selected]) if step.selected is not None else None,
        secret_arguments=frozenset(secret),
        secret_outputs=secret_outputs,
        connection=name_,
        invoke=invoker(tuple(dict.fromkeys([name for name, _ in arguments]))),
        rerun=service.repeatable,
    )
    return Walked(planned, outputs, slot, service=service)


def _operation(checker: Checker, known: Known, spec: TaskSpec, connection: str | None, *, once: bool) -> int:
    """The place of the operation in the plan; the same task on the same connection has one place, and where it writes
    by its statement another one. `spec` is what the step makes of the known task."""
    shared = connection in checker.transactions and "connection" in spec.injects
    key = (spec.name, connection, shared, once, spec.effect)
    place = checker.operation_places.get(key)
    if place is None:
        place = checker.operation_places[key] = len(checker.operations)
        number = checker.connection_places[connection] if connection is not None else None
        checker.operations.append(Operation(spec, number, connection, known.function, known.source, shared, once))
    return place


# ---------------------------------------------------------------- which task, which connection


def resolve(checker: Checker, step: model.TaskStep) -> tuple[Known | None, model.Connection | None]:
    """The task that a step calls and its connection, as far as they can be told."""
    name = step.task.text
    named = checker.connections.get(step.connection.text) if step.connection is not None else None
    if step.connection is not None and named is None:
        checker.add(connection_choice.unknown(step.connection, checker.connections))
    if named is not None:
        spec = checker.catalogue.provider(named.type.text).tasks.get(name)
        if spec is not None:
            return Known(spec), named
    known = checker.catalogue.without_connection(name)
    if known is not None:
        return known, _for_own_task(checker, step, known.spec, named)
    for owner in checker.of_type:
        spec = checker.catalogue.provider(owner).tasks.get(name)
        if spec is not None:
            return Known(spec), _of_type(checker, step, owner, named)
    plugin = checker.catalogue.owner(name)
    if plugin is not None:
        if not _explained(checker, step, named):
            checker.add(wrong_connection.missing(step, plugin, named))
        spec = checker.catalogue.provider(plugin.name).tasks.get(name)
        return (Known(spec) if spec is not None else None), None
    if not _explained(checker, step, named):
        checker.add(unknown_task.check(step, checker.catalogue))
    return None, None


def _explained(checker: Checker, step: model.TaskStep, named: model.Connection | None) -> bool:
    """Whether the task cannot be placed only because a connection cannot: that one is reported already."""
    if named is not None:
        return not _usable(checker, named)
    if step.connection is not None:
        names = checker.catalogue.names()
        return step.task.text in names or nearest(step.task.text, names) is None
    return not all(_usable(checker, each) for each in checker.flow.connections)


def _usable(checker: Checker, connection: model.Connection) -> bool:
    """Whether the type of a connection is there; when it is not, that is reported where it is defined."""
    return checker.catalogue.provider(connection.type.text).plugin is not None


def _of_type(
    checker: Checker, step: model.TaskStep, owner: str, named: model.Connection | None
) -> model.Connection | None:
    """The connection for a plugin's task: the one named, or the only one of the type."""
    fitting = checker.of_type[owner]
    if named is not None:
        if _usable(checker, named):
            checker.add(wrong_connection.check(step, owner, named, fitting))
        return None
    if step.connection is not None:
        return None
    if len(fitting) == 1:
        return fitting[0]
    checker.add(connection_choice.ambiguous(step, fitting))
    return None


def _for_own_task(
    checker: Checker, step: model.TaskStep, spec: TaskSpec, named: model.Connection | None
) -> model.Connection | None:
    """The connection for a task that no plugin owns: only when it asks for one."""
    if "connection" not in spec.injects:
        if named is not None:
            checker.add(wrong_connection.unwanted(step))
        return None
    if named is None and step.connection is None:
        if len(checker.flow.connections) == 1:
            return checker.flow.connections[0]
        checker.add(connection_choice.ambiguous(step, checker.flow.connections))
    return named


def _dialect(checker: Checker, spec: TaskSpec) -> Dialect | None:
    """How the database behind a task writes SQL, when it says so."""
    if spec.connection_type is None:
        return None
    dialect = getattr(checker.catalogue.provider(spec.connection_type).plugin, "dialect", None)
    return dialect if isinstance(dialect, Dialect) else None


def keeping(checker: Checker, spec: TaskSpec, connection: model.Connection | None) -> bool:
    """Whether a step's key can be written in the transaction that does it: on a database that speaks SQL. Also where it
    is not known which connection the step is on, which is reported there."""
    if "connection" not in spec.injects:
        return False
    if connection is None:
        return spec.connection_type is None or _dialect(checker, spec) is not None
    return keeps(checker, connection)


def keeps(checker: Checker, connection: model.Connection) -> bool:
    """Whether a connection is to a database that speaks SQL, with transactions; also where its type is not there."""
    plugin = checker.catalogue.provider(connection.type.text).plugin
    return plugin is None or (isinstance(getattr(plugin, "dialect", None), Dialect) and transactional(type(plugin)))


# ---------------------------------------------------------------- arguments


def _arguments(
    checker: Checker, compiler: Compiler, step: model.TaskStep, spec: TaskSpec
) -> tuple[list[tuple[str, Recipe]], set[str]]:
    """The recipe for each argument, and the names of those that events never show."""
    signature = _signature(checker, spec)
    given_names = {name.text for name, _ in step.arguments}
    if not (signature.parameters.keys() >= given_names >= signature.required):
        checker.add(task_parameters.check(step, spec, checker.flow))
    arguments: list[tuple[str, Recipe]] = []
    secret: set[str] = set()
    for name, value in step.arguments:
        parameter, wanted = signature.parameters.get(name.text) or (None, Wanted(name.text))
        if parameter is None and name.text == task_parameters.FILE and signature.takes_statement:
            arguments.append(("query", _query_file(checker, compiler, value)))
            continue
        as_path = parameter is not None and parameter.form == "path"
        code, given = compiler.path(value, wanted) if as_path else compiler.value(value, wanted)
        if given.kind == "stream" and (parameter is None or _takes_stream(parameter)):
            checker.add(stream_use.check(value, compiler.scope))
        if parameter is not None and parameter.secret:
            checker.add(literal_credential.argument(step, parameter, value))
            checker.literals += literal_secrets.in_value(value)
            secret.add(name.text)
        if holds_secret(given):
            checker.add(secret_stored.argument(spec, name.text, value, given))
            secret.add(name.text)
        if parameter is not None or spec.extra:
            arguments.append((name.text, code))
    if signature.takes_statement and "params" in signature.parameters and compiler.dialect is not None:
        _placeholders(checker, compiler, step, compiler.dialect)
    return arguments, secret


@frozen
class _Signature:
    """The parameters of a task by name, each with what it wants, and the names of those that must be given.
    `takes_statement`: its `query` is a SQL text."""

    parameters: Mapping[str, tuple[Parameter | None, Wanted]]
    required: frozenset[str]
    takes_statement: bool


def _signature(checker: Checker, spec: TaskSpec) -> _Signature:
    """Put together once for all steps that run the task."""
    known: _Signature | None = checker.signatures.get(id(spec))
    if known is None:
        parameters = {each.name: (each, _wanted(each)) for each in spec.parameters}
        required = frozenset(each.name for each in spec.parameters if each.required)
        query = spec.parameter("query")
        known = _Signature(parameters, required, query is not None and query.form == "sql")
        checker.signatures[id(spec)] = known
    return known


def _placeholders(checker: Checker, compiler: Compiler, step: model.TaskStep, dialect: Dialect) -> None:
    """`query` held against `params`, for a task that takes both."""
    given = {name.text: value for name, value in step.arguments}
    statement = given.get(task_parameters.FILE) or given.get("query")
    if statement is not None and len(compiler.statements) == 1 and not {"query", task_parameters.FILE} <= given.keys():
        checker.add(sql_text.params(statement, compiler.statements[0], given.get("params"), dialect))


def _takes_stream(parameter: Parameter) -> bool:
    return not parameter.keeps and accepts(parameter.type, Type("stream"))


def _wanted(parameter: Parameter) -> Wanted:
    if parameter.form != "ident":
        return Wanted(parameter.name, parameter.type, keeps=parameter.keeps, query=parameter.form == "query")
    return Wanted(parameter.name, STRING.or_null() if parameter.type.nullable else STRING)


def _query_file(checker: Checker, compiler: Compiler, value: model.Value) -> Recipe:
    """The statement in a file beside the flow. It is part of the flow's source: read now, bound as it stands."""
    text = ""
    if not isinstance(value, model.Constant) or not isinstance(value.value, str):
        checker.add(sql_text.file_name(value.span))
        return constant(text)
    folder = os.path.realpath(checker.folder)
    path = os.path.realpath(os.path.join(folder, value.value)) if "\0" not in value.value else ""
    if not path.startswith(folder.rstrip(os.sep) + os.sep):
        checker.add(sql_text.outside(value))
        return constant(text)
    try:
        text = checker.read(path)
    except OSError as error:
        checker.add(sql_text.unreadable(value, error))
        return constant(text)
    compiler.statements.append((text,))
    return constant(Sql((text,)))


# ---------------------------------------------------------------- what may be done twice, and kept


def as_written(spec: TaskSpec, statements: list[tuple[str, ...]], dialect: Dialect | None) -> TaskSpec:
    """The task with the effect that its statements have: `sqlite_query` reads, but not with INSERT … RETURNING."""
    if spec.effect == "read" and any(writes(each, dialect) for each in statements):
        return replace(spec, effect="write", idempotent=False, twice=None)
    return spec


def _policy(checker: Checker, connection: model.Connection | None) -> model.Retry | None:
    """How steps on a connection are retried when neither they nor the flow say so: a service in YAML may tell."""
    plugin = checker.catalogue.provider(connection.type.text).plugin if connection is not None else None
    policy: model.Retry | None = getattr(plugin, "step_retry", None)
    return policy


def _service(
    checker: Checker, scope: Scope, step: model.TaskStep, spec: TaskSpec, site: Site, around: Span | None
) -> Service:
    repeatable = rerun(spec, step)
    cache, key = step.modifiers.cache, step.modifiers.idempotency_key
    if cache is None and key is None:
        return _PLAIN_SERVICE[repeatable]
    caching = made = None
    if cache is not None:
        checker.add(cached_step.check(step, spec, around))
        code, given = text(checker, scope, cache.key, "key")
        if holds_secret(given):
            checker.add(secret_stored.stored("the `key` of this `cache`", "what is kept is found by it", cache.key))
        caching = Caching(code, cache.ttl, (checker.folder, checker.flow.file, _digest(checker.flow.text), site.path))
    if key is not None:
        checker.add(idempotency_key.without_effect(step, spec, sql=_dialect(checker, spec) is not None))
        made = key_of(checker, scope, key)
    return Service(repeatable, caching, made)


def key_of(checker: Checker, scope: Scope, key: model.Value) -> Evaluator | None:
    """What makes the `idempotency_key` of a step."""
    made, given = evaluator(checker, scope, key, Wanted("idempotency_key", STRING), "idempotency_key")
    if holds_secret(given):
        checker.add(idempotency_key.secret(key))
    return made


_PLAIN_SERVICE = {each: Service(each) for each in (True, False)}


def _digest(source: str) -> str:
    import hashlib

    return hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


# ---------------------------------------------------------------- outputs


def chosen_of(selected: Sequence[model.Name], declared: Mapping[str, Type]) -> Type:
    """What a step's id holds that lists outputs. Where one of them is not declared, which is reported there, all that
    are may be read: the one that was meant is among them."""
    chosen = {each.text: declared.get(each.text, ANY) for each in selected}
    return record(chosen if chosen.keys() <= declared.keys() or not declared else {**declared, **chosen})


def outputs_of(checker: Checker, step: model.TaskStep, spec: TaskSpec) -> tuple[Type, bool]:
    """What the step's id holds, and whether that is secret."""
    if step.selected is None:
        known = checker.given.get(id(spec))
        if known is None:
            whole = OBJECT if spec.outputs is None else record(spec.outputs)
            known = checker.given[id(spec)] = (whole, holds_secret(whole))
        return known
    chosen = chosen_of(step.selected, spec.outputs or {})
    return chosen, holds_secret(chosen)
