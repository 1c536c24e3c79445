"""Configs: what is refused and in which words, what is completed, what is read from text, what is secret."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest

from flowlang.connections import ConnectionPlugin, plugin_registry
from flowlang.connections._obvious import obviously_fits
from flowlang.connections.config import (
    check_literal,
    coerce,
    config_type,
    prepare,
    problems,
    schema_of,
    secret_paths,
    secret_texts,
    type_of_schema,
    with_defaults,
)
from flowlang.exceptions import PluginError

ODD = [None, True, False, 0, 1, 5, -1, 10**9, 2**70, 0.5, 5.0, math.inf, math.nan, "", "a", ":memory:", "ü", "DEFERRED"]
ODD += ["https://a.example", "redis://h", [], ["a"], {}, {"a": "b"}, datetime.date(2026, 1, 1), Decimal(5)]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["host"],
    "properties": {
        "host": {"type": "string", "minLength": 1},
        "port": {"type": "integer", "default": 80, "minimum": 1, "maximum": 65535},
        "ratio": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "tls": {"type": "boolean", "default": True},
        "mode": {"enum": ["fast", "safe"], "default": "safe"},
        "password": {"type": "string", "pattern": "^p"},
        "headers": {"type": "object"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "pool": {
            "type": "object",
            "properties": {"size": {"type": "integer", "default": 5}, "name": {"$ref": "#/$defs/name"}},
        },
        "either": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
    },
    "$defs": {"name": {"type": "string", "writeOnly": True}},
}


def messages(value: Any, **more: Any) -> dict[str, str | None]:
    return {each.message: each.suggestion for each in problems(SCHEMA, value, plugin="shop", **more)}


class Shop(ConnectionPlugin):
    name = "shop"
    version = "1"

    def get_config_schema(self) -> dict[str, Any]:
        return SCHEMA

    async def connect(self, config: dict[str, Any]) -> Any:
        return object()

    async def disconnect(self) -> None: ...

    async def get_connection(self) -> Any:
        return object()


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("value", "message", "suggestion"),
    [
        ({}, "`host` (string, required) is missing", "host: …"),
        ({"host": 5}, "`host` expects string, not an integer", '"…" in quotes is text'),
        ({"host": ""}, '`host` must not be empty, not ""', None),
        ({"host": "h", "port": 0}, "`port` must be at least 1, not 0", None),
        ({"host": "h", "port": 70000}, "`port` must be at most 65535, not 70000", None),
        ({"host": "h", "ratio": 0}, "`ratio` must be greater than 0, not 0", None),
        (
            {"host": "h", "port": "80"},
            '`port` expects integer, not the text "80"',
            "did you mean `80`, without quotes?",
        ),
        ({"host": "h", "tls": "no"}, '`tls` expects boolean, not the text "no"', "did you mean `false`?"),
        ({"host": "h", "mode": "quick"}, '`mode` must be one of "fast", "safe", not "quick"', None),
        ({"host": "h", "hots": 1}, "unknown field `hots` in a shop connection", "did you mean `host`?"),
        ({"host": "h", "pool": {"sise": 1}}, "unknown field `sise` in `pool`", "did you mean `size`?"),
        ({"host": "h", "tags": ["a", 1]}, "`tags[1]` expects string, not an integer", '"…" in quotes is text'),
        ({"host": "h", "tags": ["a", "b", "c"]}, "`tags` must have at most 2 items", None),
        ({"host": "h", "password": "swordfish"}, "`password` must match the pattern `^p`", None),
        ({"host": "h", "password": 1234567}, "`password` expects string, not an integer", None),
    ],
)
def test_a_finding_names_field_expectation_and_remedy(
    value: dict[str, Any], message: str, suggestion: str | None
) -> None:
    assert messages(value) == {message: suggestion}


def test_all_findings_come_at_once() -> None:
    assert len(messages({"port": 0, "tls": "no", "mode": "x", "nonsense": 1})) == 5


def test_objects_without_declared_keys_take_any() -> None:
    assert messages({"host": "h", "headers": {"X-Any": "1"}}) == {}
    assert problems({"type": "object"}, {"anything": 1}) == []


@pytest.mark.parametrize("said", [{"additionalProperties": True}, {"patternProperties": {"^x_": {"type": "integer"}}}])
def test_a_schema_may_say_otherwise(said: dict[str, Any]) -> None:
    assert problems({**SCHEMA, **said}, {"host": "h", "x_more": 1}) == []


def test_keys_of_alternatives_are_known() -> None:
    """A field that only one branch of `anyOf` declares is no unknown key, and a missing choice is said as one."""
    schema = {
        "type": "object",
        "properties": {"timeout": {"type": "integer"}},
        "anyOf": [
            {"required": ["url"], "properties": {"url": {"type": "string"}}},
            {"required": ["host", "user"], "properties": {"host": {"type": "string"}, "user": {"type": "string"}}},
        ],
    }
    assert problems(schema, {"host": "h", "user": "u"}) == []
    assert [each.message for each in problems(schema, {"timeout": 1})] == [
        "the config must have `url`, or `host` and `user`"
    ]


def test_nothing_is_said_of_values_that_are_not_known_yet() -> None:
    value = {"host": None, "port": None, "pool": {"size": None, "nam": 1}, "mode": "x"}
    dynamic = frozenset({("host",), ("port",), ("pool", "size")})
    assert set(messages(value, dynamic=dynamic)) == {
        "unknown field `nam` in `pool`",
        '`mode` must be one of "fast", "safe", not "x"',
    }


def test_values_of_variables_are_never_quoted_but_named() -> None:
    found = messages({"host": "h", "mode": "hunter2hunter2"}, sources={("mode",): "env.MODE"})
    assert found == {'`mode` must be one of "fast", "safe" (its value comes from `env.MODE`)': None}


def test_values_that_json_does_not_have_are_checked_too() -> None:
    value = {"host": datetime.date(2026, 1, 2), "ratio": Decimal("0.5"), "tags": ("a",)}
    assert messages(value) == {}


# ---------------------------------------------------------------- defaults and text


def test_defaults_fill_in_at_every_depth_and_leave_the_input_alone() -> None:
    value = {"host": "h", "pool": {}}
    assert with_defaults(SCHEMA, value) == {
        "host": "h",
        "port": 80,
        "tls": True,
        "mode": "safe",
        "pool": {"size": 5},
    }
    assert value == {"host": "h", "pool": {}}


def test_defaults_are_not_shared_between_configs() -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "default": []}}}
    with_defaults(schema, {})["tags"].append("mine")
    assert with_defaults(schema, {}) == {"tags": []}


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("port", "8080", 8080),
        ("port", " -1 ", -1),
        ("ratio", "0.25", 0.25),
        ("ratio", "3", 3),
        ("ratio", "1e3", 1000.0),
        ("tls", "TRUE", True),
        ("tls", "0", False),
        ("host", "8080", "8080"),
        ("mode", "fast", "fast"),
        ("either", "yes", True),
        ("either", "7", 7),
    ],
)
def test_text_of_a_variable_is_read_as_the_schema_wants_it(field: str, text: str, value: Any) -> None:
    found, wrong = coerce(SCHEMA, {field: text}, {(field,)})
    assert wrong == []
    assert found == {field: value}
    assert type(found[field]) is type(value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("port", "80.5"),
        ("port", "eighty-secret"),
        ("port", "٣"),
        ("port", "1_0"),
        ("port", ""),
        ("ratio", "nan"),
        ("ratio", "1e999"),
        ("tls", "maybe"),
    ],
)
def test_text_that_cannot_be_read_names_the_variable_and_never_the_value(field: str, text: str) -> None:
    _, (problem,) = coerce(SCHEMA, {field: text}, {(field,)}, {(field,): "secrets.PORT"})
    assert problem.path == (field,)
    assert "`secrets.PORT`" in problem.message
    assert not text or text not in problem.message


def test_text_written_in_the_flow_is_not_read() -> None:
    """Only what came from a variable is text by necessity; `"80"` in a file is a mistake."""
    assert coerce(SCHEMA, {"port": "80"}, frozenset()) == ({"port": "80"}, [])


def test_a_variable_that_cannot_be_read_is_one_finding() -> None:
    found = prepare(Shop(), {"host": "h", "port": "x"}, sources={("port",): "env.PORT"}).problems
    assert [each.message for each in found] == ["`port` expects integer, and the text of `env.PORT` is not one"]


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "name",
    "password db_password apiKey api_key API_KEY token accessToken client_secret secret credentials private_key "
    "passphrase aws_secret_access_key authToken Authorization refresh_token".split(),
)
def test_names_that_mean_secrets(name: str) -> None:
    assert secret_paths({}, {name: "x"}) == {(name,)}


@pytest.mark.parametrize(
    "name", "user host token_url password_file secret_name key primary_key keyspace monkey tokenizer max_tokens".split()
)
def test_names_that_do_not(name: str) -> None:
    schema = {"properties": {"max_tokens": {"type": "integer"}}}
    assert secret_paths(schema, {name: "x"}) == frozenset()


def test_the_schema_decides_before_the_name() -> None:
    schema = {"properties": {"token": {"writeOnly": False}, "license": {"writeOnly": True}, "pool": SCHEMA}}
    value = {"token": "open", "license": {"a": [1, "deep"]}, "pool": {"pool": {"name": "by reference"}}}
    assert secret_paths(schema, {"token": "open", "license": "x"}) == {("license",)}
    assert secret_texts(schema, value) == ["1", "deep"]
    assert secret_texts(SCHEMA, {"pool": {"name": "by reference"}}) == ["by reference"]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("postgres://app:s3cr3t@db.example.com:5432/shop", ["s3cr3t"]),
        ("redis://:only-password@cache", ["only-password"]),
        ("mysql://app:p%40ss@db", ["p%40ss", "p@ss"]),
        ("mysql://app:p@ss@db/x", ["p@ss"]),
        ("postgres://app:sl/ash@db/x", ["sl/ash"]),
        ("mongodb://u:pw-of-two@one:1,two:2/db?authSource=admin", ["pw-of-two"]),
        ("https://ghp_token@example.com/repo", ["ghp_token"]),
        ("postgres://app@db/shop", []),
        ("https://example.com/a?mail=me@example.com", []),
        ("http://[::1]:80/a@b", []),
        ("postgres://db/shop?user=a&password=in%20query", ["in%20query", "in query"]),
        ("host=db user=app password='qu oted' dbname=x", ["qu oted"]),
        ("Server=db;Uid=app;Pwd=windows;", ["windows"]),
        ("just a text", []),
    ],
)
def test_passwords_inside_urls_and_connection_strings(text: str, secrets: list[str]) -> None:
    assert secret_texts({}, {"url": text, "more": [{"deep": text}]}) == secrets


# ---------------------------------------------------------------- the whole way


def test_a_plugin_may_do_with_its_config_what_it_likes() -> None:
    class Taker(Shop):
        def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
            config["pool"].clear()
            config["added"] = True
            return True, None

    values = {"host": "h", "pool": {"size": 1}}
    assert prepare(Taker(), values).config["pool"] == {}
    assert prepare(Shop(), values).config["pool"] == {"size": 1}
    assert values == {"host": "h", "pool": {"size": 1}}


def test_validate_config_sees_defaults_and_only_checked_values() -> None:
    seen: list[dict[str, Any]] = []

    class Watching(Shop):
        def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
            seen.append(dict(config))
            return True, None

    prepare(Watching(), {"host": 5})
    assert seen == []
    prepare(Watching(), {"host": "h"})
    assert seen[0]["port"] == 80


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda config: (False, "no such host"), "plugin `shop` refuses the config: no such host"),
        (lambda config: (False, None), "plugin `shop` refuses the config"),
        (lambda config: config["missing"], "plugin `shop` failed while checking the config: KeyError: 'missing'"),
        (lambda config: True, "validate_config must return (is_valid, message)"),
        (lambda config: (False, f"bad {config['password']}"), "plugin `shop` refuses the config: bad ***"),
    ],
)
def test_what_validate_config_says_is_a_finding_without_secrets(answer: Any, expected: str) -> None:
    plugin = type("Answering", (Shop,), {"validate_config": lambda self, config: answer(config)})()
    (problem,) = prepare(plugin, {"host": "h", "password": "p-swordfish"}).problems
    assert expected in problem.message
    assert "swordfish" not in problem.message


def test_a_short_secret_in_the_plugins_words_withholds_them() -> None:
    class Telling(Shop):
        def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
            return False, f"password {config['password']} is weak"

    (problem,) = prepare(Telling(), {"host": "h", "password": "p1"}).problems
    assert "p1" not in problem.message
    assert "withheld" in problem.message


def test_check_asks_the_plugin_only_about_literal_configs() -> None:
    class Never(Shop):
        def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
            return False, "asked"

    assert check_literal(Never(), {"host": None}, {("host",)}) == []
    assert len(check_literal(Never(), {"host": "h"}, ())) == 1


def test_the_default_validate_config_is_the_schema_check() -> None:
    assert Shop().validate_config({"host": "h"}) == (True, None)
    assert Shop().validate_config({}) == (False, "`host` (string, required) is missing")


def test_a_schema_that_is_none_is_the_plugins_fault() -> None:
    for schema, reason in (
        (None, "must return a dict"),
        ({"type": "array"}, "of type object"),
        ({"properties": 3}, ""),
    ):
        plugin = type("Odd", (Shop,), {"get_config_schema": lambda self, schema=schema: schema})()
        with pytest.raises(PluginError, match=f"plugin shop: .*{reason}"):
            schema_of(plugin)


# ---------------------------------------------------------------- types


def test_types_of_fields_for_check_and_editors() -> None:
    expected = {
        ("host",): "string",
        ("port",): "integer",
        ("ratio",): "number or null",
        ("mode",): "string",
        ("tags",): "array of string",
        ("tags", 0): "string",
        ("pool", "size"): "integer",
        ("unknown",): "any",
    }
    assert {path: str(config_type(SCHEMA, path)) for path in expected} == expected
    assert config_type(SCHEMA, ("password",)).secret
    assert config_type(SCHEMA, ("pool", "name")).secret
    assert config_type(SCHEMA, ("mode",)).enum == ("fast", "safe")


def test_the_type_of_a_whole_config_is_a_closed_object() -> None:
    whole = type_of_schema(SCHEMA)
    assert whole.kind == "object"
    assert not whole.open
    assert whole.fields is not None
    assert whole.fields["password"].secret
    assert not whole.fields["host"].secret


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}, "v": {"type": "integer", "default": 1}}}
    assert type_of_schema(schema).kind == "object"
    assert with_defaults(schema, {"next": {}}) == {"next": {"v": 1}, "v": 1}
    assert [each.path for each in problems(schema, {"next": {"x": 1}})] == [("next", "x")]


@pytest.mark.parametrize("kind", ["http", "mongodb", "mysql", "postgres", "redis", "sqlite"])
def test_what_obviously_fits_is_what_the_validator_takes(kind: str) -> None:
    """Of all values in every place, none that the validator refuses is let through without it; the usual ones are."""
    schema = schema_of(plugin_registry.get(kind))
    validator = jsonschema_rs.Draft202012Validator(schema)
    least = dict.fromkeys(schema.get("required", ()), "a")
    for name in schema["properties"]:
        for value in ODD:
            config = {**least, name: value}
            if obviously_fits(schema, config):
                assert validator.is_valid(config), config
    usual = {"sqlite": {"timeout": 5}, "redis": {"url": "redis://h"}, "mongodb": {"url": "mongodb://h", "tls": None}}
    if kind in usual:
        assert obviously_fits(schema, {**least, **usual[kind]})
        assert not obviously_fits(schema, {**least, "unknown": 1})
        assert not obviously_fits(schema, {})
