"""Every key of a flow file outside of tasks and connections: what it means and what may stand there.

The schema for editors and the language server read this table; `document` decides what is read, and a test holds the
two together. What a verb's own keys mean is said in `verbs`, on the page of the verb.
"""

from __future__ import annotations

from flowlang.records import frozen


@frozen
class Key:
    """`kind` says what may stand there: a word of `views.schema.kinds`, or a tuple of the only words allowed."""

    name: str
    kind: str | tuple[str, ...]
    doc: str = ""
    required: bool = False


TYPES = ("string", "integer", "number", "boolean", "object", "array", "timestamp", "duration", "any")

FLOW = (
    Key("flow", "text", "Name of the flow.", True),
    Key("description", "text", "What the flow is for."),
    Key("version", "version", "Version of the flow, as text."),
    Key("plugins", "versions", "Connection types and the versions the flow needs: `sqlite: '>=1.0'`."),
    Key("connections", "connections", "Named connections to services: a name, and `{type: …}` with its settings."),
    Key("tasks", "texts", "Python files (from this file's folder) or modules whose `@task` functions the flow uses."),
    Key("inputs", "inputs", "What a run is given: a list of `{name, type, …}`. Read as `${inputs.name}`."),
    Key("vars", "values", "Values computed once when the run starts, from `inputs` and `env`: `${vars.name}`."),
    Key("defaults", "defaults", "`retry` and `timeout` of every service step that sets none."),
    Key("steps", "steps", "What the flow does, in order.", True),
    Key("outputs", "outputs", "What a run gives when it succeeded: a list of `{name, value, …}`."),
    Key("timeout", "duration", "How long the whole run may take, waits included; passing it ends it as `timed_out`."),
    Key("on_cancel", "steps", "Steps that run when the run is cancelled."),
    Key("finally", "steps", "Steps that run last, however the run ended."),
    Key("concurrency", "concurrency", "How many runs of this flow may be under way at once."),
    Key("triggers", "triggers", "What starts the flow by itself."),
)

INPUT = (
    Key("type", TYPES, "Type of the value; `any` when left out."),
    Key("required", "boolean", "Whether a run must be given it (false)."),
    Key("default", "any", "Value when none is given."),
    Key("description", "text", "What it is for."),
    Key("secret", "boolean", "Whether it is masked wherever it is shown (false)."),
    Key("enum", "list", "The only values allowed."),
    Key("pattern", "text", "Regular expression that a string must match."),
    Key("minimum", "number", "Smallest number allowed."),
    Key("maximum", "number", "Largest number allowed."),
    Key("min_length", "count", "Least length of a string or array."),
    Key("max_length", "count", "Greatest length of a string or array."),
    Key("items", "rules", "What each item of an array is: `{type: …}`."),
    Key("properties", "properties", "What the keys of an object are: `{key: {type: …}}`."),
)

OUTPUT = (
    Key("name", "text", "Name of the output.", True),
    Key("value", "value", "What it holds, computed when the run succeeded.", True),
    Key("type", TYPES, "Type that the value must have."),
    Key("description", "text", "What it tells."),
)

HOST = (
    Key("lazy", "boolean", "Open it when a step first needs it, not at the start of the run (false)."),
    Key("connect_timeout", "duration", "How long opening may take (30s)."),
    Key("acquire_timeout", "duration", "How long a step may wait for a free handle (30s)."),
)

DEFAULTS = (
    Key("retry", "retry", "Retry policy of service steps, and of opening connections."),
    Key("timeout", "duration", "How long a service step may take, all attempts together."),
)

CONCURRENCY = (
    Key("key", "value", "Runs with the same key count together; all runs of the flow when left out."),
    Key("limit", "positive", "How many may be under way at once (1)."),
    Key("on_conflict", ("queue", "skip", "cancel_running"), "What happens to a run beyond the limit (`queue`)."),
)

TRIGGERS: dict[str, tuple[str, tuple[Key, ...]]] = {
    "schedule": (
        "At the times of a cron expression.",
        (
            Key("cron", "text", "Five fields: minute, hour, day of the month, month, day of the week.", True),
            Key("timezone", "text", "Time zone of the fields, such as `Europe/Berlin` (UTC)."),
            Key("overlap", ("skip", "queue", "allow", "cancel_running"), "When the run before is under way (`skip`)."),
            Key("catchup", ("none", "last", "all"), "Which of the times that were missed are made up for (`none`)."),
        ),
    ),
    "every": ("Again and again.", (Key("interval", "duration", "From one start to the next.", True),)),
    "webhook": (
        "When a request comes in.",
        (
            Key("path", "text", "Path of the address: `/orders/new`.", True),
            Key("auth", "any", "`none`, or `bearer`, `hmac`, `basic` with the value of a secret.", True),
            Key("respond", ("accepted", "result"), "Answer at once, or when the run is over (`accepted`)."),
            Key("inputs", "values", "The flow's inputs, from `request`; the keys of the body when left out."),
        ),
    ),
}

RETRY = (
    Key("max_attempts", "positive", "Attempts in all, the first included (3)."),
    Key("delay", "duration", "Pause before the second attempt (1s)."),
    Key("backoff", ("constant", "linear", "exponential"), "How the pause grows (`exponential`)."),
    Key("multiplier", "factor", "By what an exponential pause grows each time (2)."),
    Key("max_delay", "duration", "Longest pause (60s)."),
    Key("jitter", "boolean", "Whether each pause is varied at random (true)."),
    Key("max_elapsed", "duration", "No further attempt after this time."),
    Key("attempt_timeout", "duration", "How long one attempt may take."),
    Key("on", "classes", "Error classes that are retried, beside those of the table."),
    Key("unless", "classes", "Error classes that are not."),
)

CACHE = (
    Key("key", "value", "What was returned for the same key is used again.", True),
    Key("ttl", "duration", "How long it is kept.", True),
)

MODIFIERS = (
    Key("id", "name", "Name of the step; its outputs are read as `${id.key}`."),
    Key("description", "text", "What the step is for; shown while it runs."),
    Key("if", "condition", "The step is skipped when this does not hold."),
    Key("timeout", "duration", "How long the step may take, all attempts and waits together."),
    Key("retry", "retry", "How often, and after which failures, the step is tried again: a number or a policy."),
    Key("on_error", "steps", "Steps that run in place of the failure; they read `error`."),
    Key("continue_on_error", "boolean", "Whether the flow goes on when the step fails (false)."),
)

SERVICE = (
    Key("connection", "connection", "Name of a connection; may be left out when only one fits."),
    Key("outputs", "texts", "Outputs to keep; all when left out."),
    Key("cache", "cache", "Use again what the task returned for the same `key`; reading tasks only."),
    Key("idempotency_key", "value", "The same key makes the service do it once only."),
    Key(
        "exactly_once",
        "boolean",
        "Writes the step's key in the same transaction, so that it is done once (false); SQL only.",
    ),
)

CASE = (
    Key("when", "value", "A value or a list of values; any equal one selects the case."),
    Key("do", "steps", "Its steps."),
    Key("default", "steps", "Steps when no case fits; stands alone in its item."),
)

BRANCH = (Key("if", "condition", "A condition.", True), Key("then", "steps", "Its steps.", True))

CATCH = (
    Key("on", "classes", "Error classes it handles; all when left out."),
    Key("if", "condition", "A further condition; reads `error`."),
    Key("as", "name", "Name of the error in the handler (`error`)."),
    Key("do", "steps", "What is done instead.", True),
)

# The keys of each verb, without modifiers. A doc that is empty stands on the verb's page in `verbs`.
VERBS: dict[str, tuple[Key, ...]] = {
    "task": (Key("task", "task", required=True), Key("inputs", "values")),
    "set": (Key("set", "values", required=True),),
    "if": (
        Key("if", "condition", required=True),
        Key("then", "steps", required=True),
        Key("elif", "branches"),
        Key("else", "steps"),
    ),
    "switch": (Key("switch", "value", required=True), Key("cases", "cases", required=True), Key("default", "steps")),
    "for_each": (
        Key("for_each", "value", required=True),
        Key("as", "name"),
        Key("do", "steps", required=True),
        Key("max_concurrency", "positive", "How many turns may be under way at once (1)."),
        Key("batch_size", "positive"),
        Key("max_failures", "count"),
        Key("collect", "value"),
    ),
    "while": (
        Key("while", "condition", "Looked at before each turn; the loop ends when it does not hold.", True),
        Key("do", "steps", "The steps.", True),
        Key("max_iterations", "positive", "Turns after which the loop fails.", True),
        Key("interval", "duration", "Pause between two turns."),
    ),
    "until": (
        Key("until", "condition", "Looked at after each turn; the loop ends when it holds.", True),
        Key("do", "steps", "The steps.", True),
        Key("max_iterations", "positive", "Turns after which the loop fails.", True),
        Key("interval", "duration", "Pause between two turns."),
    ),
    "parallel": (
        Key("parallel", "branches_at_once", required=True),
        Key("max_concurrency", "positive"),
        Key("fail_fast", "boolean"),
    ),
    "transaction": (
        Key("transaction", "connection", "Name of the connection whose steps are one transaction.", True),
        Key("do", "steps", "The steps; those on that connection share one handle.", True),
        Key("idempotency_key", "value", "With `exactly_once`: the same key has the block done once only."),
        Key(
            "exactly_once",
            "boolean",
            "Writes what the block gives in the same transaction, so that it is done once (false); SQL only.",
        ),
    ),
    "subflow": (Key("subflow", "text", required=True), Key("inputs", "values"), Key("outputs", "texts")),
    "try": (
        Key("try", "steps", "The steps that may fail.", True),
        Key("catch", "catches", "Handlers; the first that fits runs. No match raises the error again."),
        Key("finally", "steps", "Steps that run last, however it went."),
    ),
    "raise": (Key("raise", "raise", "Fails on purpose: `{type, message}`.", True),),
    "exit": (Key("exit", "exit", "Ends the flow early: nothing, a reason, or `{reason, status, outputs}`.", True),),
    "wait": (Key("wait", "wait", "A duration, `{until: …}`, or `{signal: …, timeout: …}`.", True),),
    "log": (Key("log", "message", required=True),),
}

RAISE = (
    Key("type", "class", "An error class (`task`)."),
    Key("message", "message", "What is wrong.", True),
)
EXIT = (
    Key("reason", "message", "Why."),
    Key("status", ("success", "failure"), "How the run ends (`success`)."),
    Key("outputs", "values", "In place of the flow's own outputs."),
)
WAIT = (
    Key("until", "value", "A time to wait for."),
    Key("signal", "text", "Name of a signal to wait for."),
    Key("timeout", "duration", "How long to wait for the signal at most."),
)
