"""The modifiers of a step, and retry policies in full."""

from __future__ import annotations

from flowlang.document import model, nodes
from flowlang.exceptions import ERROR_CLASSES
from flowlang.views.explicit.lines import (
    DEFAULT,
    data,
    duration,
    literal,
    nested,
    noted,
    number,
    remark,
    setting,
    text_lines,
)
from flowlang.views.explicit.values import Values, inside, keys_of

FROM_DEFAULTS = "from `defaults`"
FROM_SERVICE = "from the file of the service"


def before(values: Values, own: model.Modifiers) -> list[str]:
    """What stands before the verb: `id`, `description`, `if`."""
    lines = [setting("id", own.id.text)] if own.id is not None else []
    lines += text_lines("description:", literal(own.description)) if own.description is not None else []
    return lines + (values.guard("if", own.guard) if own.guard is not None else [])


def after(
    values: Values, step: model.Step, defaults: model.Defaults, of_service: model.Retry | None = None
) -> list[str]:
    """What stands behind it, `on_error` left out. `defaults` are those of steps that call a task, and `of_service` how
    the service in YAML that it asks wants to be asked again."""
    own = step.modifiers
    service = isinstance(step, model.TaskStep)
    inherited = defaults if service else model.Defaults()
    lines: list[str] = []
    missing = []
    if own.timeout is not None:
        lines.append(setting("timeout", duration(own.timeout)))
    elif inherited.timeout is not None:
        lines.append(setting("timeout", duration(inherited.timeout), FROM_DEFAULTS))
    else:
        missing.append("no timeout")
    if own.retry is not None:
        lines += ["retry:", *nested(policy(own.retry, inside(step.at, "retry")))]
    elif inherited.retry is not None:
        lines += [noted("retry:", FROM_DEFAULTS), *nested(policy(inherited.retry, None))]
    elif of_service is not None:
        lines += [noted("retry:", FROM_SERVICE), *nested(policy(of_service, None))]
    else:
        missing.append("no retry")
    if own.cache is not None:
        kept = [*values.lines("key", own.cache.key), setting("ttl", duration(own.cache.ttl))]
        lines += ["cache:", *nested(kept)]
    elif service:
        missing.append("no cache")
    if own.idempotency_key is not None:
        lines += values.lines("idempotency_key", own.idempotency_key)
    elif service:
        missing.append("no idempotency_key")
    if own.exactly_once:
        lines.append(setting("exactly_once", data(own.exactly_once)))
    note = "" if "continue_on_error" in own.spans else DEFAULT
    lines.append(setting("continue_on_error", data(own.continue_on_error), note))
    return lines + ([remark(", ".join(missing))] if missing else [])


def policy(retry: model.Retry, node: nodes.Node | None) -> list[str]:
    """A retry policy. `node` is what the author wrote; without it nothing is said of where a value comes from."""
    given = frozenset(("max_attempts",)) if isinstance(node, nodes.Scalar) else keys_of(node)

    def note(key: str) -> str:
        return DEFAULT if node is not None and key not in given else ""

    values = {
        "max_attempts": data(retry.max_attempts),
        "delay": duration(retry.delay),
        "backoff": retry.backoff,
        "multiplier": number(retry.multiplier).removesuffix(".0"),
        "max_delay": duration(retry.max_delay),
        "jitter": data(retry.jitter),
    }
    idle = _without_effect(retry) - given
    lines = [
        remark(f"{key}: {value}, which has no effect here") if key in idle else setting(key, value, note(key))
        for key, value in values.items()
    ]
    for key, limit in (("max_elapsed", retry.max_elapsed), ("attempt_timeout", retry.attempt_timeout)):
        lines.append(remark(f"no {key}") if limit is None else setting(key, duration(limit)))
    retried = ", ".join(each.name for each in ERROR_CLASSES.values() if each.retryable)
    lines.append(data_of("on", retry.on) if retry.on else remark(f"on: {retried}, where it can be repeated safely"))
    lines.append(data_of("unless", retry.unless) if retry.unless else remark("unless: nothing more"))
    return lines


def _without_effect(retry: model.Retry) -> frozenset[str]:
    """The settings that another one makes idle: the check warns where they are written."""
    if retry.max_attempts == 1:
        return frozenset(("delay", "backoff", "multiplier", "max_delay", "jitter"))
    return frozenset(
        (
            *(["multiplier"] if retry.backoff != "exponential" else []),
            *(["delay"] if retry.delay > retry.max_delay else []),
        )
    )


def data_of(key: str, value: object) -> str:
    return setting(key, data(value))
