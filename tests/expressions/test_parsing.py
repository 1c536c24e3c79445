"""Where expressions begin and end, what is refused, and at which characters."""

from __future__ import annotations

import ast
import random

import pytest
from tests.expressions.helpers import evaluate, problems_of

from flowlang.expressions import parse_condition, parse_template

VALID = [
    ("plain text", ["plain text"]),
    ("", [""]),
    ("${a}", ["<a>"]),
    ("x ${a}${b} y", ["x ", "<a>", "<b>", " y"]),
    ("$${a} ${b}", ["${a} ", "<b>"]),
    ("$ {a} $a {b} }", ["$ {a} $a {b} }"]),
    ("${a['}']}!", ["<a['}']>", "!"]),
    ('${a["{"]}', ['<a["{"]>']),
    ("${ {'k': {'n': 1}} }", ["<{'k': {'n': 1}}>"]),
    ("${'it\\'s }'}", ["<'it\\'s }'>"]),
    ("${\n  a\n}", ["<a>"]),
]


@pytest.mark.parametrize(("text", "parts"), VALID)
def test_templates_are_split_outside_quotes_and_brackets(text: str, parts: list[str]) -> None:
    template, problems = parse_template(text)
    assert problems == []
    assert [each if isinstance(each, str) else f"<{each.source}>" for each in template.parts] == parts


# text, whether it is a condition, code, the characters it points at, a part of the suggestion
REFUSED = [
    ("${inputs.name", False, "expression-unterminated", "${inputs.name", "add `}`"),
    ("a ${'x} b", False, "expression-unterminated", "'x", "close it with '"),
    ("${a[0}", False, "expression-unterminated", "[", "`]`"),
    ("${}", False, "expression-syntax", "${}", None),
    ("", True, "expression-syntax", "", None),
    ("${a ${b}}", False, "expression-syntax", "${", "leave out"),
    ("inputs.name.startswith('a')", True, "method-call", "startswith", "`starts_with(inputs.name, 'a')`"),
    ("${inputs.name.startswith('a')}", True, "method-call", "startswith", "`starts_with(inputs.name, 'a')`"),
    ("', '.join(a.b)", True, "method-call", "join", "`join(a.b, ', ')`"),
    ("a.get('k', 1)", True, "method-call", "get", "`default(a['k'], 1)`"),
    ("'é' == b.lower()", True, "method-call", "lower", "`lower(b)`"),
    ("a && b", True, "unknown-operator", "&&", "`and`"),
    ("a || b", True, "unknown-operator", "||", "`or`"),
    ("!a", True, "unknown-operator", "!", "`not`"),
    ("a = 1", True, "unknown-operator", "=", "`==`"),
    ("a === 1", True, "unknown-operator", "===", "`==`"),
    ("a <> 1", True, "unknown-operator", "<>", "`!=`"),
    ("a.b | length", True, "unknown-operator", "|", "`len(a.b)`"),
    ("a | default('x')", True, "unknown-operator", "|", "`default(a, 'x')`"),
    ("a ? b : c", True, "unknown-operator", "?", "`a if condition else b`"),
    ("a ?? b", True, "unknown-operator", "??", "`default(a, b)`"),
    ("2 ** 3", True, "unknown-operator", "**", None),
    ("1 << 3", True, "unknown-operator", "<<", None),
    ("a & b", True, "unknown-operator", "&", "`and`"),
    ("(x := 1)", True, "unknown-operator", ":=", None),
    ("a is null", True, "unsupported-form", "is", "`==`"),
    ("lambda x: x", True, "unsupported-form", "lambda", "comprehension"),
    ("f'{a}'", True, "unsupported-form", "f'{a}'", "`+`"),
    ("b'a'", True, "unsupported-form", "b'a'", None),
    ("(1, 2)", True, "unsupported-form", "(1, 2)", "`[1, 2]`"),
    ("{1, 2}", True, "unsupported-form", "{1, 2}", "`unique([1, 2])`"),
    ("len(*a)", True, "unsupported-form", "*", "`+`"),
    ("${{env.X}}", False, "unsupported-form", "{env.X}", "`${env.X}`"),
    ("{{ a }}", True, "expression-syntax", "{{", "one pair"),
    ("a._id", True, "private-name", "_id", '`["_id"]`'),
    ("a.__class__", True, "private-name", "__class__", None),
    ("a b", True, "expression-syntax", "b", None),
    ("a AND b", True, "expression-syntax", "AND", "`and`"),
    ("a +", True, "expression-syntax", "+", None),
    ("a if b", True, "expression-syntax", "if", "else"),
    ("items.0.name", True, "expression-syntax", ".0", "`[0]`"),
    ("a == 'x' # why", True, "expression-syntax", "# why", None),
    ("a == `x`", True, "expression-syntax", "`", None),
    ("a == “x”", True, "expression-syntax", "“", None),
    ("a == 012", True, "expression-syntax", "012", "`12`"),
    ("a == 1e999", True, "expression-syntax", "1e999", None),
    ("a == '\\d'", True, "expression-syntax", "\\d", "`\\\\d`"),
    ("'${role}' == 'x'", True, "quoted-expression", "${role}", "quotes"),
    ("a[1, 2]", True, "unsupported-form", "1, 2", None),
    ("[x for x.y in z]", True, "unsupported-form", "x.y", None),
    ("a\x00b", True, "expression-syntax", "\x00", None),
    ("{{ user.name }}", False, "foreign-template", "{{ user.name }}", "`${user.name}`"),
]


@pytest.mark.parametrize(("text", "condition", "code", "part", "suggestion"), REFUSED)
def test_what_is_refused_is_named_at_its_characters(
    text: str, condition: bool, code: str, part: str, suggestion: str | None
) -> None:
    problems = (parse_condition if condition else parse_template)(text)[1]
    assert [each.code for each in problems] == [code]
    assert text[problems[0].start : problems[0].end] == part
    assert suggestion is None or suggestion in (problems[0].suggestion or "")


def test_every_foreign_operator_of_an_expression_is_reported_once() -> None:
    problems = parse_condition("a && !b || c")[1]
    assert [(each.start, each.replacement) for each in problems] == [(2, "and"), (5, "not "), (8, "or")]


@pytest.mark.parametrize("text", ["${user.age} >= 18", "${user.age >= 18}", "user.age >= 18", "${user.age} >= ${18}"])
def test_braces_in_a_condition_may_stand_around_any_part(text: str) -> None:
    assert evaluate(text, condition=True, user={"age": 20}) is True
    assert evaluate(text, condition=True, user={"age": 8}) is False


@pytest.mark.parametrize(
    "text", ["(" * 61 + "1" + ")" * 61, "-" * 4000 + "1", "not " * 900 + "a", "a" + ".b" * 70, "a" + "[0]" * 70, "1" + "+1" * 900, "[" * 5000]  # noqa: E501
)  # fmt: skip
def test_large_expressions_are_refused_by_a_limit(text: str) -> None:
    assert [each.code for each in parse_condition(text)[1]] == ["expression-limit"]


def test_a_word_of_python_may_follow_a_dot() -> None:
    assert evaluate("${m.from + m.class + m.None + m.true}", m={"from": 1, "class": 2, "None": 3, "true": 4}) == 10


def test_positions_count_characters_not_bytes() -> None:
    text = "ü ${'日本' + wörld.ñame + missing}"
    problems = problems_of(text)
    assert [text[each.start : each.end] for each in problems] == ["wörld", "missing"]


def test_an_expression_over_several_lines_keeps_its_positions() -> None:
    text = "${\n  one.a\n  + two.b\n}"
    assert [text[each.start : each.end] for each in problems_of(text)] == ["one", "two"]


def test_a_broken_expression_is_reported_once_and_its_type_is_unknown() -> None:
    assert len(problems_of("${a b}")) == 1
    assert len(problems_of("x ${a b} y")) == 1


SIGNS = (
    "a b row x1 not and or in if else for is None True true null . . , ( ) [ ] : % + - * / // == != < <= ** << = 1 0 "
    "007 1.5 .5 5. 'a' \"b\" r'c' '' ${ } $ -> ... 'it' _p len"
).split()


EDGES = ["a [...]", "a + 'x' 'y'", "f( *a)", "a == 1.real", "a == 007", "a == 0x1f", "a , b", "a ._p", "a if b", "a ,"]


def test_most_expressions_are_read_without_their_tokens_and_none_is_read_otherwise() -> None:
    """A tab in the place of a space means the same, and has the tokens looked at."""
    chosen = random.Random(1)
    made = [
        [each + chosen.choice(("", " ")) for each in chosen.choices(SIGNS, k=chosen.randint(1, 5))] for _ in range(6000)
    ]
    valid = 0
    for text in [*EDGES, *("a " + "".join(each) for each in made)]:
        expression, problems = parse_condition(text)
        slowly, found = parse_condition(text.replace(" ", "\t"))
        assert [(each.code, each.start, each.end) for each in problems] == [
            (each.code, each.start, each.end) for each in found
        ], text
        if expression is not None and slowly is not None:
            valid += 1
            trees = [ast.dump(each.tree, include_attributes=True) for each in (expression, slowly)]
            assert trees[0] == trees[1], text
    assert valid > 50
