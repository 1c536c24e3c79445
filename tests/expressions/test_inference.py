"""Types before the run, and what is reported: each thing at its characters, once, and nothing that may be right."""

from __future__ import annotations

import pytest
from tests.expressions.helpers import World, problems_of, root

from flowlang.expressions import infer, infer_condition, infer_template, parse_condition, parse_template
from flowlang.expressions.types import (
    ANY,
    BOOLEAN,
    BYTES,
    DECIMAL,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    TIMESTAMP,
    Type,
    array,
    record,
    stream,
)

INPUTS = record(
    {"name": STRING, "nick": STRING.or_null(), "age": INTEGER.or_null(), "n": INTEGER, "ratio": NUMBER, "price": DECIMAL,  # noqa: E501
     "vip": BOOLEAN, "maybe_vip": BOOLEAN.or_null(), "tags": array(STRING), "at": TIMESTAMP, "blob": BYTES,
     "kind": Type("string", enum=("gold", "silver")), "who": record({"id": INTEGER}).or_null(), "token": Type("string", secret=True)}  # noqa: E501
)  # fmt: skip
USER = record({"rows": array(record({"id": INTEGER, "name": STRING})), "count": INTEGER, "feed": stream(OBJECT)})
WORLD = World(
    {
        "inputs": root(INPUTS, "`inputs`", slot=1),
        "vars": root(record({"limit": INTEGER}), "`vars`", slot=2),
        "fetch_user": root(USER, "step `fetch_user` (8:11)", slot=3),
        "fetch": root(record({"data": ANY}), "step `fetch` (9:11)", slot=4),
        "any": root(ANY, "step `any`", slot=5),
        "branch": root(record({"v": STRING}), "step `branch`", state="maybe", why="guard at 2:9", slot=6),
        "after": root(record({"v": STRING}), "step `after` (20:5)", state="later", slot=7),
        "env": root(OBJECT, "`env`", state="hidden", why="`env` is readable only in `connections`"),
        "secrets": root(Type("object", secret=True), "`secrets`", slot=8),
    }
)

# text, code, the characters, a part of the message, a part of the suggestion
REPORTED = [
    ("${input.name}", "unknown-name", "input", "unknown root `input`", "did you mean `inputs`?"),
    ("${fetc.data}", "unknown-name", "fetc", "no step, input root or loop variable named `fetc`", "step `fetch` (9:11)"),  # noqa: E501
    ("${fetch-user.rows}", "unknown-name", "fetch-user", "`-` is minus", "step `fetch_user` (8:11)"),
    ("${name}", "unknown-name", "name", "unknown root", "`inputs.name`"),
    ("${none}", "unknown-name", "none", "unknown root", "`null`"),
    ("${fetch_user.row[0]}", "unknown-output", "row", "step `fetch_user` (8:11) has no output `row`", "`rows`"),
    ("${inputs.nme}", "unknown-field", "nme", "no input named `nme`", "`name`"),
    ("${fetch_user.rows[0].nam}", "unknown-field", "nam", "has no key `nam`", "`name`"),
    ("${fetch_user['row']}", "unknown-output", "'row'", "no output `row`", "`rows`"),
    ("${fetch_user.rows.name}", "type-mismatch", "name", "array of object", "`fetch_user.rows[0].name`"),
    ("${inputs.tags.length}", "type-mismatch", "length", "no key `length`", "`len(inputs.tags)`"),
    ("${inputs.name.first}", "type-mismatch", "first", "is string", None),
    ("${branch.v}", "may-be-skipped", "branch", "step `branch` may be skipped (guard at 2:9)", "default"),
    ("${after.v}", "defined-later", "after", "step `after` (20:5) runs later", None),
    ("${default(after.v, 1)}", "defined-later", "after", "runs later", None),
    ("${env.HOME}", "not-readable-here", "env", "`env` is readable only in `connections`", None),
    ("${inputs.age + 1}", "may-be-null", "inputs.age", "may be null", "`default(inputs.age, 0)`"),
    ("${inputs.age > 1}", "may-be-null", "inputs.age", "may be null", "default"),
    ("${inputs.who.id}", "may-be-null", "id", "`inputs.who` may be null", "default"),
    ("${lower(inputs.nick)}", "may-be-null", "inputs.nick", "may be null", "default"),
    ("${inputs.name > 5}", "type-mismatch", "inputs.name > 5", "cannot order string and integer", "`int(inputs.name)`"),
    ("${inputs.name + inputs.n}", "type-mismatch", "inputs.name + inputs.n", "cannot add string and integer", "`str(inputs.n)`"),  # noqa: E501
    ("${inputs.price * inputs.ratio}", "type-mismatch", "inputs.price * inputs.ratio", "decimal and number", "`decimal(x)`"),  # noqa: E501
    ("${-inputs.name}", "type-mismatch", "-inputs.name", "sign", None),
    ("${inputs.tags['a']}", "type-mismatch", "'a'", "array of string", None),
    ("${inputs.tags and true}", "not-boolean", "inputs.tags", "a boolean is needed", "`len(inputs.tags) > 0`"),
    ("${1 if inputs.n else 2}", "not-boolean", "inputs.n", "a boolean is needed", "`inputs.n != 0`"),
    ("${not inputs.maybe_vip}", "may-be-null", "inputs.maybe_vip", "may be null", "default"),
    ("${lenght(inputs.tags)}", "unknown-function", "lenght", "no function `lenght`", "`len`"),
    ("${toUpperCase(inputs.name)}", "unknown-function", "toUpperCase", "no function", "`upper`"),
    ("${len(1)}", "type-mismatch", "1", "`len` needs", None),
    ("${lower()}", "wrong-arguments", "lower()", "`lower` needs `text`", None),
    ("${lower('a', 'b')}", "wrong-arguments", "'b'", "takes 1 argument", None),
    ("${sorted(inputs.tags, revers=true)}", "wrong-arguments", "revers=true", "`revers`", "`reverse`"),
    ("${[x for x in inputs.n]}", "type-mismatch", "inputs.n", "goes over a list", "`range(inputs.n)`"),
    ("${[x for x in fetch_user.feed]}", "type-mismatch", "fetch_user.feed", "stream", "for_each"),
    ("${[inputs for inputs in inputs.tags]}", "name-taken", "inputs", "means something else", None),
    ("${ {1: 2} }", "type-mismatch", "1", "keys of an object are text", "`'1'`"),
    ("Hi ${inputs.tags}", "not-text", "inputs.tags", "cannot be put into text", "`${json(inputs.tags)}`"),
    ("Hi ${inputs.blob}", "not-text", "inputs.blob", "bytes", None),
    ("Hi ${null}", "not-text", "null", "null", None),
    ("${1 in inputs.name}", "type-mismatch", "1 in inputs.name", "only text", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "part", "message", "suggestion"), REPORTED)
def test_a_mistake_is_reported_once_at_its_characters(
    text: str, code: str, part: str, message: str, suggestion: str | None
) -> None:
    found = problems_of(text, WORLD)
    assert [each.code for each in found] == [code]
    assert text[found[0].start : found[0].end] == part
    assert message in found[0].message
    assert suggestion is None or suggestion in (found[0].suggestion or "")
    assert found[0].severity == "error"


SILENT = [
    "${any.thing[0].more + 1}",
    "${any.a < any.b}",
    "${any and any.x}",
    "text ${any.x}",
    "${default(branch.v, 'none')}",
    "${has(branch.v)}",
    "${branch.v if has(branch.v) else 'none'}",
    "${inputs.age != null and inputs.age > 3}",
    "${inputs.age == null or inputs.age > 3}",
    "${inputs.age + 1 if inputs.age != null else 0}",
    "${0 if inputs.age == null else inputs.age + 1}",
    "${default(inputs.age, 0) + 1}",
    "${default(inputs.who.id, 0) + 1}",
    "${coalesce(inputs.age, 0) + 1}",
    "${not (inputs.who == null) and inputs.who.id == 1}",
    "${[r.id + 1 for r in fetch_user.rows if r.name != '']}",
    "${inputs.n + inputs.ratio * 2}",
    "${inputs.price * inputs.n}",
    "${inputs.at - inputs.at > duration('5m')}",
    "${inputs.name in inputs.tags}",
    "${inputs.age == 3}",
    "${fetch.data.x.y}",
    "${fetch_user.feed}",
    "${inputs.kind == 'gold'}",
    "${[k for k, v in items(any)]}",
    "${now() > inputs.at}",
]


@pytest.mark.parametrize("text", SILENT)
def test_what_may_be_right_is_not_reported(text: str) -> None:
    assert problems_of(text, WORLD) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${inputs.kind == 'golt'}", "never equal"),
        ("${inputs.name == 5}", "never equal"),
        ("Hi ${inputs.nick}", "may be null"),
    ],
)
def test_what_is_likely_wrong_is_a_warning(text: str, message: str) -> None:
    assert [(each.severity, message in each.message) for each in problems_of(text, WORLD)] == [("warning", True)]


TYPES = [
    ("${inputs.n}", "integer"),
    ("${inputs.age}", "integer or null"),
    ("${default(inputs.age, 0)}", "integer"),
    ("${inputs.n / 2}", "number"),
    ("${inputs.n // 2}", "integer"),
    ("${fetch_user.rows[0].name}", "string"),
    ("${[r.id for r in fetch_user.rows]}", "array of integer"),
    ("${sorted(fetch_user.rows, key='id')[0].id}", "integer"),
    ("${len(any)}", "integer"),
    ("${any.x}", "any"),
    ("${'a' if inputs.vip else null}", "string or null"),
    ("${inputs.n > 1 and inputs.vip}", "boolean"),
    ("${split(inputs.name, ',')}", "array of string"),
    ("${merge({'a': 1}, {'b': 'x'}).b}", "string"),
    ("${now() - inputs.at}", "duration"),
    ("a ${inputs.n}", "string"),
    ("${inputs.tags[0][0]}", "string"),
    ("${fetch_user.feed}", "stream of object"),
]


@pytest.mark.parametrize(("text", "type_"), TYPES)
def test_the_type_of_an_expression_is_known(text: str, type_: str) -> None:
    assert str(infer_template(parse_template(text)[0], WORLD).type) == type_


@pytest.mark.parametrize(
    "text",
    ["${secrets.k}", "x ${secrets.k}", "${[s for s in [secrets.k]]}", "${len(secrets.k)}", "${inputs.token + ''}",
     "${ {'a': {'b': inputs.token}} }", "${1 if secrets.k == 'a' else 2}", "${[x.y for x in secrets.list]}"],
)  # fmt: skip
def test_what_reads_a_secret_is_secret(text: str) -> None:
    found = infer_template(parse_template(text)[0], WORLD)
    assert found.secret
    assert found.type.secret


def test_what_reads_no_secret_is_not() -> None:
    found = infer_template(parse_template("${inputs.name} ${fetch.data}")[0], WORLD)
    assert not found.secret
    assert found.reads == {"inputs", "fetch"}


def test_an_expected_type_is_checked() -> None:
    expression = parse_template("${inputs.name}")[0].whole
    assert expression is not None
    found = infer(expression, WORLD, expected=INTEGER).problems
    assert [(each.code, each.suggestion) for each in found] == [("type-mismatch", "`${int(inputs.name)}`")]
    assert infer(expression, WORLD, expected=STRING).problems == ()


@pytest.mark.parametrize("text", ["inputs.vip", "inputs.n > 1", "any", "has(branch.v)", "all([inputs.vip])"])
def test_a_condition_is_a_boolean_or_unknown(text: str) -> None:
    expression = parse_condition(text)[0]
    assert expression is not None
    assert infer_condition(expression, WORLD).problems == ()


@pytest.mark.parametrize("text", ["inputs.n", "inputs.tags", "'yes'", "null", "inputs.maybe_vip"])
def test_a_condition_that_is_no_boolean_is_reported(text: str) -> None:
    expression = parse_condition(text)[0]
    assert expression is not None
    assert len(infer_condition(expression, WORLD).problems) == 1


def test_a_guard_around_an_expression_proves_what_it_tested() -> None:
    from flowlang.expressions import proven

    guard = parse_condition("inputs.age != null and has(branch.v)")[0]
    reading = parse_template("${inputs.age + len(branch.v)}")[0]
    assert guard is not None
    assert len(infer_template(reading, WORLD).problems) == 2
    assert infer_template(reading, WORLD, present=proven(guard.tree, True)).problems == ()
