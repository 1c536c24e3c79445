"""What starts a flow: `concurrency`, which bounds its runs, and `triggers`."""

from __future__ import annotations

import re
from typing import Literal, cast

from flowlang.diagnostics import Span
from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.cron import Fault, fault_of
from flowlang.document.fields import Fields, kind_of, wrong_type
from flowlang.document.findings import meant, replacing
from flowlang.document.model import Concurrency, Trigger
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.texts import quote, shown

CONFLICTS = ("queue", "skip", "cancel_running")
OVERLAPS = ("skip", "queue", "allow", "cancel_running")
CATCHUPS = ("none", "last", "all")
RESPONSES = ("accepted", "result")
KINDS = {
    "schedule": ("cron", "timezone", "overlap", "catchup"),
    "every": ("interval",),
    "webhook": ("path", "auth", "respond", "inputs"),
}
_CONFLICT_WORDS = {
    "wait": "queue",
    "drop": "skip",
    "reject": "skip",
    "cancel": "cancel_running",
    "replace": "cancel_running",
}
_RESPONSE_WORDS = {
    "async": "accepted",
    "immediately": "accepted",
    "outputs": "result",
    "wait": "result",
    "sync": "result",
}
_KIND_WORDS = {"cron": "schedule", "interval": "every", "http": "webhook", "timer": "every"}
_KEY_WORDS = {"tz": "timezone", "time_zone": "timezone", "expression": "cron", "url": "path", "response": "respond"}
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
AUTH_KEYS = {"bearer": (), "hmac": ("secret", "header"), "basic": ("user", "password")}


def read_concurrency(fields: Fields) -> Concurrency | None:
    node = fields.object("concurrency", "an object with `key`, `limit` and `on_conflict`")
    if node is None:
        return None
    inner = Fields(
        fields.context, node, "`concurrency`", ("key", "limit", "on_conflict"), at=fields.span("concurrency")
    )
    key = inner.node("key")
    words = inner.word("on_conflict", CONFLICTS, _CONFLICT_WORDS) or "queue"
    return Concurrency(
        fields.context.value(key) if key is not None else None,
        inner.integer("limit", least=1) or 1,
        cast('Literal["queue", "skip", "cancel_running"]', words),
        node.span,
    )


def read_triggers(fields: Fields) -> tuple[Trigger, ...]:
    context = fields.context
    found = []
    paths: dict[str, Span] = {}
    for item in fields.items("triggers", Mapping):
        if not isinstance(item, Mapping) or not item.entries:
            wrong_type(context, "triggers", item, "objects such as `every: {interval: 5m}`")
            continue
        one = Fields(context, item, "a trigger", KINDS, also=_KIND_WORDS)
        kinds = [each for each in one.entries if each in KINDS]
        for extra in kinds[1:]:
            message = f"a trigger is one thing; this one has {shown(kinds[0])} and {shown(extra)}"
            context.findings.add(codes.SEVERAL_VERBS, message, one.span(extra), "begin each with a dash of its own")
        if kinds:
            trigger = _trigger(one, kinds[0], paths)
            found += [trigger] if trigger is not None else []
    return tuple(found)


def _trigger(one: Fields, kind: str, paths: dict[str, Span]) -> Trigger | None:
    node = one.node(kind)
    keys = KINDS[kind]
    if not isinstance(node, Mapping):
        first = (quote(node.text) if "*" in node.text else node.text) if isinstance(node, Scalar) else "…"
        help_ = f"did you mean `{kind}: {{{keys[0]}: {first}}}`?"
        wrong_type(one.context, kind, node or one.mapping, "an object with " + ", ".join(f"`{k}`" for k in keys), help_)
        return None
    fields = Fields(one.context, node, f"`{kind}`", keys, also=_KEY_WORDS, at=one.span(kind))
    if kind == "schedule":
        _schedule(fields)
    elif kind == "every":
        fields.required("interval")
        fields.limit("interval", "write one such as `5m`")
    else:
        _webhook(fields, paths)
    settings = one.context.object(node)
    return Trigger(cast('Literal["schedule", "every", "webhook"]', kind), settings, one.mapping.span)


# ---------------------------------------------------------------- schedules


def _schedule(fields: Fields) -> None:
    fields.required("cron")
    node, cron = fields.node("cron"), fields.text("cron")
    fault = fault_of(cron.text) if cron is not None else None
    if fault is not None and isinstance(node, Scalar):
        _tell(fields, node, fault)
    zone = fields.text("timezone")
    if zone is not None:
        _zone(fields, zone.text, zone.span)
    fields.word("overlap", OVERLAPS, _CONFLICT_WORDS)
    fields.word("catchup", CATCHUPS)


def _tell(fields: Fields, node: Scalar, fault: Fault) -> None:
    span = node.locate(fault.start, fault.end)
    fix = replacing(span, fault.instead) if fault.instead is not None else None
    help_ = meant(fault.instead) if fault.instead is not None else None
    fields.findings.add(codes.CRON, fault.message, span, help_, notes=(fault.note,), fix=fix)


def _zone(fields: Fields, name: str, span: Span) -> None:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if not known:
            return  # this machine has no list of zones: it is not the flow's fault
        cities = {each.rpartition("/")[2].lower(): each for each in sorted(known, reverse=True)}
        city = fields.findings.nearest(name.rpartition("/")[2].replace(" ", "_").lower(), cities)
        word = cities.get(name.replace(" ", "_").lower()) or fields.findings.nearest(name, known)
        word = word or (cities[city] if city is not None else None)
        fix = replacing(span, word) if word else None
        note = "zones are named as in the IANA database: `UTC`, `Europe/Oslo`"
        message = f"there is no time zone {shown(name)}"
        fields.findings.add(codes.TIME_ZONE, message, span, word and meant(word), notes=(note,), fix=fix)


# ---------------------------------------------------------------- webhooks


def _webhook(fields: Fields, paths: dict[str, Span]) -> None:
    fields.required("path")
    path = fields.text("path")
    if path is not None and _path(fields, path.text, path.span):
        if path.text in paths:
            message = f"path `{path.text}` is already taken by the webhook at {paths[path.text].start}"
            fields.findings.add(codes.ALREADY_DEFINED, message, path.span, "give one of the two another path")
        paths.setdefault(path.text, path.span)
    if "auth" in fields:
        _auth(fields.context, fields, fields.node("auth"))
    else:
        help_ = 'add `auth: {bearer: "${secrets.NAME}"}`, or `auth: none` to let everybody in'
        message = "`auth` is missing: who may call a webhook is written down"
        fields.findings.add(codes.MISSING_KEY, message, fields.at, help_)
    fields.word("respond", RESPONSES, _RESPONSE_WORDS)
    fields.object("inputs", "an object of inputs and their values")


def _path(fields: Fields, path: str, span: Span) -> bool:
    reason = None
    segments = path.removeprefix("/").split("/")
    instead = "/" + "/".join(each for each in re.split(r"[^A-Za-z0-9._~-]+", path) if each not in ("", ".", ".."))
    if not path.startswith("/"):
        reason = "a path begins with `/`"
    elif "?" in path or "#" in path:
        reason = "a path has no query: what a caller adds is read as `request.query`"
    elif any(each in (".", "..") or not _SEGMENT.fullmatch(each) for each in segments):
        reason = "between slashes stand letters, digits and `-`, `_`, `.`, `~`"
    if reason is None:
        return True
    fix = replacing(span, instead) if instead != "/" else None
    message = f"{shown(path)} is no path of a webhook"
    fields.findings.add(codes.WEBHOOK_PATH, message, span, meant(instead) if fix else None, notes=(reason,), fix=fix)
    return False


def _auth(context: Context, fields: Fields, node: Node | None) -> None:
    expected = "`none`, or an object with `bearer`, `hmac` or `basic`"
    if isinstance(node, Scalar):
        if node.text != "none" or not isinstance(node.value, str):
            word = node.text if node.text in AUTH_KEYS else None
            help_ = (
                f"write `{word}: …` with its secret in an object" if word else "write `auth: none` to let everybody in"
            )
            context.findings.add(
                codes.WRONG_TYPE, f"`auth` expects {expected}, this is {kind_of(node)}", node.span, help_
            )
        return
    if not isinstance(node, Mapping):
        wrong_type(context, "auth", node or fields.mapping, expected)
        return
    auth = Fields(context, node, "`auth`", AUTH_KEYS, at=fields.span("auth"))
    kinds = list(auth.entries)
    if len(kinds) != 1:
        message = f"`auth` is one of `bearer`, `hmac` and `basic`, this has {len(kinds)}"
        context.findings.add(codes.SEVERAL_VERBS, message, fields.span("auth"), "keep one")
        return
    kind, inner = kinds[0], auth.node(kinds[0])
    keys = AUTH_KEYS[kind]
    if isinstance(inner, Mapping) and keys:
        parts = Fields(context, inner, f"`{kind}`", keys, at=auth.span(kind))
        for key in keys:
            if key != "header":
                parts.required(key)
        parts.text("header")
    elif kind == "basic" or not isinstance(inner, Scalar):
        wrong_type(
            context, kind, inner or node, "an object with `user` and `password`" if kind == "basic" else "a secret"
        )
