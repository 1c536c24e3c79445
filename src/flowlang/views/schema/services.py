"""JSON Schema (2020-12) of the file of a service (`*.service.yaml`), for editors: its keys, words and kinds of values.

What hangs together (parameters and what reads them, outputs and pages) is the check's.
"""

from __future__ import annotations

from typing import Any

from flowlang.views.keys import INPUT, OUTPUT, RETRY, Key
from flowlang.views.schema.kinds import Schema, closed, definitions, of_key, ref

FILE = (
    Key("service", "text", "The connection type; the file is called `<service>.service.yaml`.", True),
    Key("kind", ("http",), "How it is asked.", True),
    Key("version", "version", "Version of this description.", True),
    Key("description", "text", "What the service is.", True),
    Key("task_prefix", "name", "What the names of tasks begin with; the type when left out."),
    Key("config", "declarations", "Settings of a connection: a list of `{name, type, …}`. Read as `${config.name}`."),
    Key("base_url", "text", "Where every path begins: `https://api.example.com/v1`.", True),
    Key("auth", "auth", 'Who asks: `{type: bearer, token: "${config.token}"}`.'),
    Key("headers", "values", "Headers of every request."),
    Key("rate_limit", "rate", "How many requests of a connection may leave."),
    Key("retry", "policy", "How steps are retried that set no `retry` themselves."),
    Key("idempotency", "keying", "Where requests that write have a key, by which the service does them once."),
    Key("pages", "pages", "How pages follow each other, for all operations with `pages`."),
    Key("errors", "rules_of_errors", "Which replies are failures, and of which class: the first rule that holds."),
    Key("ping", "text", "The operation that tells whether the service answers."),
    Key("operations", "operations", "Name → operation; each is a task.", True),
    Key("tests", "trials", "Tests of operations on replies that are written down."),
)
RATE = (
    Key("requests", "positive", "How many requests.", True),
    Key("per", "duration", "In which time.", True),
)
KEYING = (
    Key("header", "text", "The header that has the key."),
    Key("field", "text", "Or the field of the JSON or form that is sent."),
    Key("form", ("text", "quoted", "uuid"), "How it is written (`text`)."),
)
RULE = (
    Key("when", "condition", "Whether it holds, from `status`, `headers` and `body`.", True),
    Key("class", "class", "The error class.", True),
    Key("message", "text", "What the error says."),
    Key("retryable", "boolean", "Whether another try may help, in place of what the class says."),
    Key("retry_after", "any", "Seconds to wait."),
    Key("retry_at", "any", "When to try again, in seconds since 1970."),
)
OPERATION = (
    Key("description", "text", "What it does; the first paragraph is the summary.", True),
    Key("effect", ("none", "read", "write"), "What it does to the service; by the method when left out."),
    Key("idempotent", "boolean", "Whether doing it twice is the same; by the method when left out."),
    Key("idempotency", "keying_or_not", "As that of the service; `false` sends no key."),
    Key("params", "declarations", "Parameters: a list of `{name, type, …}`. Read as `${params.name}`."),
    Key("request", "request", "What is sent.", True),
    Key("pages", "pages", "It is a list in pages; the output is a stream of `${item}`."),
    Key("batches", "batches", "One request for each part of a list."),
    Key("outputs", "outputs_of_operations", "What it gives, of `status`, `headers` and `body`; `body` when left out."),
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
REQUEST = (
    Key("method", METHODS, "The method (GET)."),
    Key("path", "text", "Below `base_url`; expressions in it are encoded.", True),
    Key("query", "values", "Names and values; null leaves one out."),
    Key("headers", "values", "Headers beside those of the service."),
    Key("json", "any", "A value that is sent as JSON."),
    Key("form", "values", "Names and values that are sent as a form."),
    Key("body", "any", "Text or bytes, sent as they are."),
    Key("expect", "statuses", "Status codes that are no failure; 200 to 299 when left out."),
)
PAGES = (
    Key("items", "text", "Where the list stands in a page, `a.b`; left out, the page is the list."),
    Key("next", "next", "How a page leads to the next."),
    Key("max_pages", "any", "Read no more than so many."),
)
NEXT = (
    Key("link", "text", "`header`, or where the address of the next page stands in the body."),
    Key("cursor", "text", "Where the cursor stands in the body."),
    Key("param", "text", "The parameter that takes the cursor."),
    Key("page", "text", "The parameter that takes the number of the page."),
    Key("offset", "text", "The parameter that takes the offset."),
    Key("limit", "text", "The parameter that takes `size`."),
    Key("size", "positive", "Items in one page."),
    Key("start", "count", "The first page or offset."),
    Key("more", "text", "Where it stands that there is more."),
    Key("in", ("query", "body"), "Where the parameters go."),
)
BATCHES = (
    Key("of", "any", "The list.", True),
    Key("size", "positive", "Items in one request, which reads them as `${batch}`.", True),
)
TRIAL = (
    Key("name", "message", "What it shows.", True),
    Key("operation", "text", "The operation that is carried out.", True),
    Key("config", "values", "Settings; required ones that are left out get a value."),
    Key("params", "values", "Parameters."),
    Key("replies", "replies", "Replies, in the order of the requests.", True),
    Key("outputs", "values", "What it gives, by name."),
    Key("error", "failure", "How it fails."),
)
REPLY = (
    Key("asked", "asked", "What matters of the request."),
    Key("status", "positive", "Status code (200)."),
    Key("headers", "values", "Headers."),
    Key("json", "any", "Content that is JSON."),
    Key("text", "text", "Content that is text."),
)
ASKED = (
    Key("method", METHODS, "The method."),
    Key("path", "text", "Below `base_url`."),
    Key("query", "values", "Some of the query."),
    Key("headers", "values", "Some of the headers."),
    Key("json", "any", "The JSON that is sent."),
    Key("form", "values", "Some of the form."),
)
FAILURE = (
    Key("type", "class", "Its class."),
    Key("detail", "message", "A part of its text."),
    Key("retry_after", "number", "Seconds that the service asks to wait."),
)


def service_schema(auth: dict[str, Any]) -> Schema:
    """The schema of the file of a service; `auth` is that of the connection type `http`."""
    declaration = (Key("name", "name", "Its name.", True), *INPUT)
    properties = {name: {key: each for key, each in about.items() if key in ("description", "enum")}
                  for name, about in auth["properties"].items()}  # fmt: skip
    rules = closed(INPUT)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A service described in YAML: a connection type without code.",
        **closed(FILE),
        "$defs": {
            **definitions(),
            "rules": rules,
            "properties": {"type": "object", "additionalProperties": ref("rules")},
            "declarations": {"type": "array", "items": closed(declaration)},
            "auth": {"type": "object", "required": ["type"], "properties": properties, "additionalProperties": False},
            "rate": closed(RATE),
            "keying": closed(KEYING),
            "keying_or_not": {"if": {"type": "object"}, "then": closed(KEYING), "else": {"const": False}},
            "policy": {"if": {"type": "object"}, "then": closed(RETRY), "else": ref("positive")},
            "pages": closed(PAGES),
            "next": closed(NEXT),
            "rules_of_errors": {"type": "array", "items": closed(RULE)},
            "operations": {"type": "object", "minProperties": 1, "additionalProperties": closed(OPERATION)},
            "request": closed(REQUEST),
            "statuses": {"type": "array", "items": {"type": "integer", "minimum": 100, "maximum": 599}},
            "batches": closed(BATCHES),
            "outputs_of_operations": {"type": "array", "items": closed(OUTPUT, {"value": of_key(Key("value", "any"))})},
            "trials": {"type": "array", "items": closed(TRIAL)},
            "replies": {"type": "array", "items": closed(REPLY)},
            "asked": closed(ASKED),
            "failure": closed(FAILURE),
        },
    }
