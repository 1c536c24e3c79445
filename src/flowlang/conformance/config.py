"""Checks of how settings reach the plugin, and of what is refused before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.conformance.addresses import address_of, components, url_of
from flowlang.conformance.calls import Steps
from flowlang.conformance.model import Absent, Failed, check
from flowlang.conformance.subject import NAME, Subject, flow_text
from flowlang.connections import _schema as reading
from flowlang.connections.config import ConfigProblem, prepare
from flowlang.connections.errors import cause_lines

_CANARY = "zq-canary-41"  # a text that is no number and no truth value
# What a config that was not looked at makes a program raise.
_CARELESS = (LookupError, TypeError, AttributeError, UnboundLocalError)


def _wrong_for(kinds: frozenset[str]) -> Any:
    """A value that is of none of these kinds."""
    values: tuple[tuple[Any, set[str]], ...] = (
        ("not what is wanted", {"string"}),
        ({"a": [1]}, {"object"}),
        ([{"a": 1}], {"array"}),
        (4.5, {"number"}),
    )
    if not kinds:
        return {"a": [1]}
    return next(value for value, own in values if not own & kinds)


def _refusals(subject: Subject, config: Mapping[str, Any]) -> tuple[ConfigProblem, ...]:
    return prepare(subject.prototype, config).problems


def _says(problems: tuple[ConfigProblem, ...], field: str) -> bool:
    return any(field in each.path or f"`{field}`" in each.message or field in each.message for each in problems)


def _fields(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any], frozenset[str]]]:
    """Each setting with its schema and the kinds of its values."""
    schema = subject.schema
    for name, each in reading.properties(schema, schema).items():
        yield name, each, reading.kinds(each, schema)


@check("contract")
async def defaults_applied(subject: Subject) -> None:
    """`connect()` is given the schema's default of each setting that is left out, and the given value of the others."""
    watched, seen = subject.watched()
    async with watched.opened():
        pass
    for name, each, _ in _fields(subject):
        wanted = subject.config.get(name, each.get("default"))
        if ("default" in each or name in subject.config) and seen[0].get(name) != wanted:
            raise Failed(f"`connect()` is not given what holds for `{name}`: something changes the config on its way")


@check("contract")
async def missing_refused(subject: Subject) -> None:
    """A required setting that is missing is refused before anything is opened, and any other may be left out."""
    for name, _, _ in _fields(subject):
        if name not in subject.config:
            continue
        config = {key: each for key, each in subject.config.items() if key != name}
        problems = _refusals(subject, config)
        if problems and not _says(problems, name):
            raise Failed(f"without `{name}` it is refused, and no finding names it: {problems[0].message}")
        if problems:
            continue
        error, _ = await subject.failure_of_use(config)
        cause = error
        while cause is not None:
            if isinstance(cause, _CARELESS):
                told = "; ".join(cause_lines(error)) if error is not None else ""
                raise Failed(f"`{name}` is not required, and without it `connect()` fails: {told}")
            cause = cause.__cause__ or cause.__context__


@check("contract")
async def wrong_type_refused(subject: Subject) -> None:
    """A value of the wrong type is refused before anything is opened; the finding stands at its place in the file and
    names the connection's setting."""
    watched, seen = subject.watched()
    tried = 0
    for name, _, kinds in _fields(subject):
        wrong = _wrong_for(kinds)
        config = {**subject.config, name: wrong}
        ran = await watched.run(flow_text(subject.plugin.name, config, Steps(NAME)))
        if ran.result.status != "invalid" or seen:
            raise Failed(f"`{name}: {wrong!r}` is not refused")
        if not any(name in each.message and each.span.start.line > 1 for each in ran.result.findings):
            raise Failed(f"`{name}: {wrong!r}` is refused, and no finding at its place names it")
        tried += 1
    if not tried:
        raise Absent("it has no settings")


@check("quality")
async def range_refused(subject: Subject) -> None:
    """Every number has a lower bound in the schema; a value beyond a bound, or beside an enum, is refused."""
    for name, each, kinds in _fields(subject):
        parts = list(reading.parts(each, subject.schema, alternatives=True))
        bounds = {key for part in parts for key in ("minimum", "exclusiveMinimum", "enum", "const") if key in part}
        if kinds & {"integer", "number"} and not bounds:
            raise Failed(f"`{name}` is a number without `minimum`")
        wrong: Any = "no-such-word" if "enum" in bounds else -(10**9)
        if (bounds or kinds & {"integer", "number"}) and not _refusals(subject, {**subject.config, name: wrong}):
            raise Failed(f"`{name}: {wrong!r}` is not refused")


@check("quality")
async def unknown_key_refused(subject: Subject) -> None:
    """A mistyped key is refused, and the nearest right one is suggested."""
    for name, _, _ in _fields(subject):
        if len(name) < 4:
            continue
        typo = f"{name[:-2]}{name[-1]}{name[-2]}x"
        problems = _refusals(subject, {**subject.config, typo: 1})
        if not any(typo in each.message for each in problems):
            raise Failed(f"the unknown key `{typo}` is not refused")
        if not any(name in f"{each.message} {each.suggestion}" for each in problems):
            raise Failed(f"the unknown key `{typo}` is refused without suggesting `{name}`")


@check("contract")
async def env_coerced(subject: Subject) -> None:
    """Text from the environment becomes what the schema wants; what cannot is refused naming the variable, not its
    value."""
    watched, seen = subject.watched()
    given = subject.ready()
    typed = {name: kinds for name, _, kinds in _fields(subject) if kinds & {"integer", "number", "boolean"}}
    typed = {name: kinds for name, kinds in typed.items() if isinstance(given.get(name), (bool, int, float))}
    typed = {name: kinds for name, kinds in typed.items() if not kinds >= {"boolean", "string"}}  # text has a meaning
    if not typed:
        raise Absent("all of its settings are texts")
    names = {name: f"CONFORMANCE_{name.upper()}" for name in typed}
    texts = {names[name]: str(given[name]).lower() for name in typed}
    config = flow_text(subject.plugin.name, subject.config, Steps(NAME), {n: f"${{env.{names[n]}}}" for n in typed})
    ran = await watched.run(config, env=texts)
    if not seen:
        raise Failed(f"a config from the environment is not taken: {ran.result.findings or ran.result.failure}")
    for name in typed:
        if seen[0][name] != given[name] or isinstance(seen[0][name], str):
            raise Failed(f"`{name}` from the environment reaches `connect()` as {type(seen[0][name]).__name__}")
    for name in typed:
        ran = await watched.run(config, env={**texts, names[name]: _CANARY})
        told = f"{ran.result.findings} {ran.result.failure}"
        if ran.result.status == "succeeded" or names[name] not in told:
            raise Failed(f"a wrong `{names[name]}` is not refused by its name")
        if _CANARY in told:
            raise Failed(f"the finding about `{names[name]}` shows its value")


@check("contract")
async def problems_together(subject: Subject) -> None:
    """All that is wrong with a config is told at once, not one thing after the other."""
    wrong = {}
    for name, _, kinds in _fields(subject):
        wrong[name] = _wrong_for(kinds)
    if len(wrong) < 2:
        raise Absent("it has less than two settings")
    problems = _refusals(subject, wrong)
    missed = [name for name in wrong if not _says(problems, name)]
    if missed:
        raise Failed(f"{len(wrong)} settings are wrong and only {len(problems)} told; `{missed[0]}` is missed")


@check("contract")
async def config_owned(subject: Subject) -> None:
    """Opening one connection changes nothing for the next: neither the schema nor its defaults nor a shared config."""
    before = subject.schema
    watched, seen = subject.watched()
    changed: dict[str, Any] = {}
    for name, each, kinds in _fields(subject):
        if kinds & {"integer"} and isinstance(each.get("default"), int) and each["default"] > 0 and name != "port":
            changed[name] = each["default"] + 1
    fitting = {
        name: value for name, value in changed.items() if not _refusals(subject, {**subject.config, name: value})
    }
    async with watched.opened():
        pass
    async with watched.opened({**subject.config, **fitting}):
        pass
    async with watched.opened():
        pass
    if seen[0] != seen[2] or subject.prototype.get_config_schema() != before:
        raise Failed("after opening with other settings, the same config reaches `connect()` differently")


@check("quality", "network")
async def url_equals_fields(subject: Subject) -> None:
    """A URL, and the same in single fields, lead to the same place with the same account."""
    schema = subject.schema
    known = reading.properties(schema, schema)
    if "url" not in known or "host" not in known:
        raise Absent("it is configured in one way only")
    call = await subject.reading()
    with subject.wire() as (proxy, config):
        for form in _forms(config, known):
            before = proxy.accepted
            async with subject.opened(form) as opened:
                await opened.call(call)
            if proxy.accepted == before:
                raise Failed(f"{sorted(form)} lead elsewhere than the other way of saying the same")


def _forms(config: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The config by URL and by fields, whichever way it is written."""
    from urllib.parse import quote

    address = address_of(config)
    assert address is not None
    if address.in_url:
        url = str(config[address.field])
        fields = {name: each for name, each in components(url).items() if name in known}
        rest = {name: each for name, each in config.items() if name != address.field}
        yield {**rest, **fields}
        yield dict(config)
        return
    yield dict(config)
    names = ("host", "port", "user", "password", "database")
    rest = {name: each for name, each in config.items() if name not in names}
    info = ":".join(quote(str(config.get(each, "")), safe="") for each in ("user", "password"))
    scheme = next((url_of(each).scheme for each in _urls(known)), "service")  # type: ignore[union-attr]
    place = f"{config['host']}:{config['port']}"
    yield {**rest, "url": f"{scheme}://{info}@{place}/{config.get('database', '')}".rstrip("/")}


def _urls(known: Mapping[str, Any]) -> Iterator[str]:
    """Examples of URLs in what the schema says of `url`."""
    for word in str(known["url"].get("description", "")).replace("`", " ").split():
        if url_of(word.replace("host:port", "host:1").replace(":port", ":1")) is not None:
            yield word.replace("host:port", "host:1").replace(":port", ":1")


@check("contract")
async def validation_total(subject: Subject) -> None:
    """`validate_config` answers `(True, None)` or `(False, reason)` for every config that fits the schema, and raises
    for none."""
    plugin = subject.prototype
    for left in (None, *subject.config):
        prepared = prepare(plugin, {name: each for name, each in subject.config.items() if name != left})
        if any(each.path or "required" in each.message for each in prepared.problems):
            continue
        config = prepared.config
        try:
            answer: Any = plugin.validate_config(dict(config))
        except Exception as error:
            raise Failed(f"validate_config raises {type(error).__name__}: {error}") from error
        fits = isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], bool)
        if not fits or (answer[0] is False) != isinstance(answer[1], str):
            raise Failed(f"validate_config returns {answer!r}, not `(True, None)` or `(False, reason)`")
