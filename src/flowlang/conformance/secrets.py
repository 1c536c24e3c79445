"""Checks that credentials stay where they belong. The needle is looked for in every form that it may take."""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

from flowlang.conformance import example as examples
from flowlang.conformance.addresses import address_of, url_of, with_password
from flowlang.conformance.model import Absent, Failed, check
from flowlang.conformance.proxy import HOST, Proxy
from flowlang.conformance.subject import Subject
from flowlang.connections.config import schema_of, secret_texts

CANARY = "zQ7/canary:41%+x"
SHORT = "q"


def shows(text: str, secret: str) -> bool:
    """Whether `text` holds `secret`: as it is, URL-encoded once or twice in either case, in JSON, hex or base64."""
    needles = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], secret.encode().hex()}
    needles |= {secret[::-1]} if len(secret) >= 6 else set()
    needles.add(base64.b64encode(secret.encode()).decode().rstrip("="))
    once = unquote(text)
    folded = [each.casefold() for each in (text, once, unquote(once), re.sub(r"\s+", "", text))]
    if any(needle.casefold() in each for needle in needles for each in folded):
        return True
    return any(secret in each for each in _decoded(text))


def _decoded(text: str) -> Iterator[str]:
    """What the words of a text say when they are base64."""
    for word in re.findall(r"[A-Za-z0-9+/_-]{8,}={0,2}", text):
        try:
            raw = base64.b64decode(word.replace("-", "+").replace("_", "/") + "===")
        except ValueError:
            continue
        yield raw.decode("utf-8", "ignore")


def _secrets_of(subject: Subject) -> list[str]:
    """The credentials in the author's config that are long enough to be told from other text."""
    found = [each for each in secret_texts(schema_of(subject.prototype), subject.config) if len(each) >= 6]
    if not found:
        raise Absent("its config holds no credential of six characters or more")
    return found


def with_wrong_secret(subject: Subject, secret: str) -> dict[str, Any]:
    """The config with `secret` in the place of every credential. Raises `Absent` when it has none."""
    from flowlang.connections import _schema as reading

    schema = subject.schema
    changed: dict[str, Any] = {}
    for name, each in reading.properties(schema, schema).items():
        given = subject.config.get(name)
        if url_of(given) is not None:
            if with_password(str(given), secret) != given:
                changed[name] = with_password(str(given), secret)
        elif reading.is_secret(name, each, schema) and isinstance(given, str):
            changed[name] = _in_form(secret, given, each)
        elif isinstance(given, dict):
            nested = {key: secret for key in given if reading.is_secret(key, {}) and isinstance(given[key], str)}
            changed |= {name: {**given, **nested}} if nested else {}
    if not changed:
        raise Absent("its config holds no credential")
    return {**subject.config, **changed}


def _in_form(secret: str, given: str, declared: Mapping[str, Any]) -> str:
    """`secret`, behind the first word of the right credential (`sk_`, `xoxb-`) where the schema wants such a form."""
    pattern, lead = declared.get("pattern"), re.match(r"[A-Za-z0-9]+[_-]", given)
    if not isinstance(pattern, str) or lead is None or re.search(pattern, secret):
        return secret
    return lead[0] + secret


@contextmanager
def _logs() -> Iterator[list[str]]:
    """Everything that is logged by anybody, down to DEBUG, with tracebacks."""
    told: list[str] = []
    formatter = logging.Formatter("%(name)s %(message)s")

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(formatter.format(record))

    root, listener = logging.getLogger(), Listener(logging.DEBUG)
    before = {each: each.level for each in (root, *_loggers())}
    root.addHandler(listener)
    for each in before:
        each.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        root.removeHandler(listener)
        for each, level in before.items():
            each.setLevel(level)


def _loggers() -> list[logging.Logger]:
    return [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]


def _refuse(where: str, text: str, secrets: list[str]) -> None:
    for each in secrets:
        if shows(text, each):
            raise Failed(f"{where} shows a credential: …{_around(text, each)}…")


def _around(text: str, secret: str) -> str:
    """What stands before the credential; never itself."""
    at = text.find(secret)
    return " ".join(text[max(0, at - 40) : at].split()) if at >= 0 else "(encoded)"


# ---------------------------------------------------------------- checks


@check("contract")
async def repr_clean(subject: Subject) -> None:
    """`repr` and `str` of the plugin, its client and its handles show no credential."""
    secrets = _secrets_of(subject)
    async with subject.opened() as opened, opened.leased() as handle:
        for what, each in (("the plugin", opened.plugin), ("the client", opened.client), ("a handle", handle)):
            _refuse(f"`repr` of {what}", f"{each!r} {each}", secrets)


@check("quality")
async def pickle_clean(subject: Subject) -> None:
    """An opened instance cannot be pickled, or what is pickled holds no credential."""
    import pickle

    secrets = _secrets_of(subject)
    async with subject.opened() as opened:
        try:
            pickled = pickle.dumps(opened.plugin)
        except Exception:  # noqa: BLE001 - that it refuses is as good as leaving them out
            return
    _refuse("a pickled instance", pickled.decode("latin-1"), secrets)


async def _failures(subject: Subject, secret: str) -> Iterator[BaseException]:
    """What opening raises with a wrong credential, and without a service."""
    config = with_wrong_secret(subject, secret)
    found = [(await subject.failure_of_use(config))[0]]
    try:
        with subject.wire() as (proxy, moved):
            proxy.refuse()
            address = subject.address
            found.append((await subject.failure_of_use(address.moved(config, HOST, proxy.port)))[0])
            assert moved
    except Absent:
        pass
    return (each for each in found if each is not None)


@check("contract")
async def errors_clean(subject: Subject) -> None:
    """Exceptions, their causes and their rendered tracebacks show no credential, right or wrong."""
    for error in await _failures(subject, CANARY):
        rendered = "".join(traceback.format_exception(error))
        told = " ".join(f"{each!r} {each} {each.args!r}" for each in _chain(error))
        _refuse("an exception", f"{rendered}\n{told}", [CANARY])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@check("contract")
async def logs_clean(subject: Subject) -> None:
    """Nothing that is logged, down to DEBUG and by the driver too, shows a credential."""
    secrets = _secrets_of(subject)
    calls = await subject.calls()
    with _logs() as told:
        async with subject.opened() as opened:
            for each in calls:
                await opened.call(each)
        await _failures(subject, CANARY)
    _refuse("a log record", "\n".join(told), [*secrets, CANARY])


@check("contract")
async def outputs_clean(subject: Subject) -> None:
    """What tasks give holds no credential."""
    secrets = _secrets_of(subject)
    calls = await subject.calls()
    async with subject.opened() as opened:
        for each in calls:
            _refuse(f"what `{each.task}` gives", repr(await opened.call(each)), secrets)


@check("contract")
async def events_clean(subject: Subject) -> None:
    """Events, results and failures of runs show no credential, in whichever encoding."""
    secrets = _secrets_of(subject)
    call = await subject.reading()
    good = await subject.flow(call)
    bad = await subject.flow(call, config=with_wrong_secret(subject, CANARY))
    for ran in (good, bad):
        _refuse("what a run tells", f"{ran.events!r} {ran.result.to_record()!r}", [*secrets, CANARY])


@check("contract")
async def url_clean(subject: Subject) -> None:
    """A credential inside a URL is as secret as one in a field of its own."""
    fields = [name for name, value in subject.config.items() if url_of(value) is not None]
    fields = [name for name in fields if with_password(str(subject.config[name]), "x") != subject.config[name]]
    if not fields:
        raise Absent("its config holds no URL with a password")
    config = {**subject.config, **{name: with_password(str(subject.config[name]), CANARY) for name in fields}}
    error, _ = await subject.failure_of_use(config)
    told = "".join(traceback.format_exception(error)) if error is not None else ""
    ran = await subject.flow(config=config)
    _refuse("a failure to open", f"{told} {ran.events!r} {ran.result.to_record()!r}", [CANARY])


@check("contract")
async def short_secrets(subject: Subject) -> None:
    """An empty or one-letter credential does not shred messages: the words stay readable."""
    long = await _told_with(subject, CANARY)
    for secret in ("", SHORT, "e"):
        told = await _told_with(subject, secret)
        if told.count("***") > 3 + long.count("***"):
            raise Failed(f"with a credential of {len(secret)} characters the message is {told[:120]!r}")


async def _told_with(subject: Subject, secret: str) -> str:
    error, _ = await subject.failure_of_use(with_wrong_secret(subject, secret))
    return " ".join(str(each) for each in _chain(error))


@check("contract")
async def scaffold_clean(subject: Subject) -> None:
    """What the scaffolds write holds credentials as references only, whatever was opened before."""
    secrets = _secrets_of(subject)
    async with subject.opened() as opened:
        written = opened.plugin.scaffold_connection_config("it")
        try:
            written += examples.text_of(opened.plugin)
        except Absent:
            pass
    _refuse("a scaffold", written, secrets)
    _literal_secrets(subject, written)


def _literal_secrets(subject: Subject, written: str) -> None:
    import yaml

    from flowlang.connections.config import secret_paths

    snippet = yaml.safe_load(subject.prototype.scaffold_connection_config("it"))
    config = {key: each for key, each in (snippet or {}).get("it", {}).items() if key != "type"}
    for path in secret_paths(subject.schema, config):
        value = config[path[0]] if len(path) == 1 else None
        if isinstance(value, str) and value and "${" not in value:
            raise Failed(f"the scaffold writes `{path[0]}` as a literal: write `${{env.…}}`")


@check("contract", "credentials")
async def rotated(subject: Subject) -> None:
    """Each opening uses the credential it is given: a wrong one fails though a right one opened before, and the right
    one opens after a wrong one failed."""
    wrong = with_wrong_secret(subject, CANARY)
    async with subject.opened():
        refused, _ = await subject.failure_of_use(wrong)
    if refused is None and await takes_any_credential(subject, wrong):
        raise Absent("the service at hand takes any credential")
    if refused is None:
        raise Failed("a wrong credential opens after a right one did: the right one is remembered")
    error, _ = await subject.failure_of_use(subject.config)
    if error is not None:
        raise Failed(f"after a wrong credential failed the right one fails too: {error}")


async def takes_any_credential(subject: Subject, wrong: Mapping[str, Any]) -> bool:
    """Whether the service lets a wrong credential in: asked at an address that nothing can be remembered of."""
    address = address_of(subject.ready(wrong))
    if address is None:
        return True
    with Proxy((address.host, address.port)) as proxy:
        return await subject.failure_of_use(address.moved(wrong, HOST, proxy.port)) == (None, "task")
