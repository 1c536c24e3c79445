"""Where expressions stand in SQL texts, and how statements are filled."""

from __future__ import annotations

import random

import pytest

from flowlang.connections._sql.dialect import GENERIC, MYSQL, POSTGRES, SQLITE, Dialect
from flowlang.connections._sql.holes import holes, writes
from flowlang.connections._sql.text import leading_word, quote_name, render
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.values import Ident, Sql


def kinds(text: str, dialect: Dialect = GENERIC) -> list[str]:
    return [hole.kind for hole in holes(text.split("§"), dialect)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM t WHERE id = §", ["value"]),
        ("SELECT * FROM t WHERE a = § AND b IN (§, §)", ["value"] * 3),
        ("INSERT INTO t (a, b) VALUES (§, §)", ["value", "value"]),
        ("UPDATE t SET a = §, b = § WHERE id = §", ["value"] * 3),
        ("SELECT * FROM json_each(§)", ["value"]),
        ("SELECT a FROM t LIMIT § OFFSET §", ["value", "value"]),
        ("SELECT x IS NOT DISTINCT FROM §", ["value"]),
        ("SELECT EXTRACT(year FROM §)", ["value"]),
        ("SELECT * FROM t ORDER BY CASE WHEN a = § THEN 1 ELSE § END", ["value", "value"]),
        ("SELECT * FROM t WHERE key = lower(§)", ["value"]),
        ("INSERT INTO t VALUES (§) ON CONFLICT (id) DO UPDATE SET a = §", ["value", "value"]),
        ("SELECT 'it''s' || §", ["value"]),
        ("SELECT '§'", ["in_literal"]),
        ("SELECT 'a ''§'' b'", ["in_literal"]),
        ("SELECT '%§%', §", ["in_literal", "value"]),
        ('SELECT "§"', ["in_literal"]),
        ("SELECT 1 -- §\n WHERE a = §", ["in_comment", "value"]),
        ("SELECT /* § */ §", ["in_comment", "value"]),
        ("SELECT '-- ' || §", ["value"]),
        ("SELECT '/*' || § || '*/'", ["value"]),
        ("§", ["statement"]),
        ("  § ; -- run it", ["statement"]),
        ("SELECT * FROM §", ["identifier"]),
        ("SELECT * FROM a, § WHERE b = §", ["identifier", "value"]),
        ("SELECT * FROM a JOIN § ON a.x = §", ["identifier", "value"]),
        ("INSERT INTO § (a, §) VALUES (§, §)", ["identifier", "identifier", "value", "value"]),
        ("UPDATE § SET § = §", ["identifier", "identifier", "value"]),
        ("UPDATE t SET a = 1, § = 2", ["identifier"]),
        ("SELECT * FROM t ORDER BY §, § DESC", ["identifier", "identifier"]),
        ("SELECT * FROM logs_§", ["identifier"]),
        ("SELECT §.a FROM t", ["identifier"]),
        ("DROP TABLE IF EXISTS §", ["identifier"]),
        ("SELECT 'never closed §", ["in_literal"]),
        ("SELECT /* never closed §", ["in_comment"]),
    ],
)
def test_every_expression_is_told_apart(text: str, expected: list[str]) -> None:
    """Values, literals, comments, names and whole statements."""
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (POSTGRES, "SELECT $$ § $$, §", ["in_literal", "value"]),
        (POSTGRES, "SELECT $tag$ $$ § $tag$, §", ["in_literal", "value"]),
        (POSTGRES, r"SELECT E'it\'s §', §", ["in_literal", "value"]),
        (POSTGRES, r"SELECT 'ends with \', §", ["value"]),
        (POSTGRES, "/* a /* b */ § */ SELECT §", ["in_comment", "value"]),
        (POSTGRES, "SELECT data ? 'key', data->>§", ["value"]),
        (MYSQL, r"SELECT 'it\'s §', §", ["in_literal", "value"]),
        (MYSQL, "SELECT 1 # §\n, §", ["in_comment", "value"]),
        (MYSQL, "SELECT 5--§", ["value"]),
        (MYSQL, "SELECT `§`", ["in_literal"]),
        (SQLITE, "SELECT [§], `§`, §", ["in_literal", "in_literal", "value"]),
    ],
)
def test_each_dialect_has_its_own_quotes_and_comments(dialect: Dialect, text: str, expected: list[str]) -> None:
    """Dollar quotes, backslashes, brackets, nested comments."""
    assert kinds(text, dialect) == expected


def test_scanning_takes_time_linear_in_the_text() -> None:
    """Texts made to confuse a pattern are scanned at once."""
    for text in ("'" * 200_000, "/*" * 100_000, "$a$" * 60_000, '"' * 199_999, "(" * 200_000, "''\\" * 60_000):
        for dialect in (SQLITE, POSTGRES, MYSQL):
            writes((text,), dialect)


def test_values_are_bound_in_the_order_of_the_text() -> None:
    """Expressions and params may be mixed."""
    sql = Sql(("SELECT ? + ", " + ? WHERE '?' = ", " -- ?"), ("a", "b"))
    assert render(sql, [1, 2], SQLITE) == ("SELECT ? + ? + ? WHERE '?' = ? -- ?", [1, "a", 2, "b"])


def test_numbers_go_on_counting() -> None:
    """The author's $n keep their meaning; expressions come after them."""
    sql = Sql(("SELECT $2, ", ", $1, $2 WHERE '$3' = ", ""), ("a", "b"))
    assert render(sql, [1, 2], POSTGRES) == ("SELECT $2, $3, $1, $2 WHERE '$3' = $4", [1, 2, "a", "b"])


def test_percent_signs_are_text_where_s_placeholders_are_used() -> None:
    """A driver that formats the text must not trip over them, nor over a %s in a literal."""
    assert render("SELECT '%s', a % 2 WHERE b LIKE '10%' AND c = %s", [5], MYSQL) == (
        "SELECT '%%s', a %% 2 WHERE b LIKE '10%%' AND c = %s",
        [5],
    )
    assert render("SELECT '10%'", None, MYSQL) == ("SELECT '10%%'", []), "also where nothing is bound"


@pytest.mark.parametrize(
    ("dialect", "sql", "expected"),
    [
        (SQLITE, Sql(("a IN (", ")"), ([1, 2],)), ("a IN (?, ?)", [1, 2])),
        (SQLITE, Sql(("a IN ", ""), ((1, 2),)), ("a IN (?, ?)", [1, 2])),
        (SQLITE, Sql(("a IN (0, ", ")"), ([1, 2],)), ("a IN (0, ?, ?)", [1, 2])),
        (SQLITE, Sql(("a NOT IN (", ")"), ([],)), ("a NOT IN ()", [])),
        (POSTGRES, Sql(("a IN (", ") AND b = ", ""), ([1, 2], 3)), ("a IN ($1, $2) AND b = $3", [1, 2, 3])),
        (POSTGRES, Sql(("a IN (", ")"), ([],)), ("a IN (NULL)", [])),
        (POSTGRES, Sql(("a = ANY(", ")"), ([1, 2],)), ("a = ANY($1)", [[1, 2]])),
        (SQLITE, Sql(("INSERT INTO t VALUES (", ")"), ([1, 2],)), ("INSERT INTO t VALUES (?)", [[1, 2]])),
    ],
)
def test_a_list_expands_in_the_brackets_of_in_and_nowhere_else(dialect: Dialect, sql: Sql, expected: object) -> None:
    """Anywhere else it is one value."""
    assert render(sql, None, dialect) == expected


def test_params_expand_like_expressions() -> None:
    """`IN (?)` with a list among the params means the same as `IN (${list})`."""
    assert render("a IN (?) AND b = ?", [[1, 2], 3], SQLITE) == ("a IN (?, ?) AND b = ?", [1, 2, 3])


def test_an_empty_not_in_is_refused_where_it_would_match_nothing() -> None:
    """`NOT IN (NULL)` is never true: the opposite of what is meant."""
    with pytest.raises(FlowExecutionError, match="NOT IN is empty") as caught:
        render(Sql(("a NOT IN (", ")"), ([],)), None, POSTGRES)
    assert caught.value.error_class == "validation"


@pytest.mark.parametrize(
    ("dialect", "name", "quoted"),
    [
        (SQLITE, "orders", "`orders`"),
        (SQLITE, "main.or`ders", "`main`.`or``ders`"),
        (POSTGRES, 'shop.or"ders', '"shop"."or""ders"'),
        (MYSQL, "a b", "`a b`"),
    ],
)
def test_names_are_quoted_part_by_part(dialect: Dialect, name: str, quoted: str) -> None:
    """A dot separates schema and table."""
    assert quote_name(name, dialect) == quoted
    assert render(Sql(("SELECT * FROM ", ""), (Ident(name),)), None, dialect)[0] == f"SELECT * FROM {quoted}"


@pytest.mark.parametrize("name", ["", ".", "a.", "a..b", "a\0b", "x" * 64])
def test_names_that_cannot_be_quoted_are_refused(name: str) -> None:
    """Empty parts, NUL, too long."""
    with pytest.raises(FlowExecutionError):
        quote_name(name, POSTGRES)


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        ("SELECT ?, ?", [1], "2 placeholders .* 1 value"),
        ("SELECT ?", [1, 2], "1 placeholder .* 2 values"),
        ("SELECT ?", None, "1 placeholder .* 0 values"),
        ("SELECT 1", [1], "0 placeholders"),
        ("SELECT ?", "x", "must be a list"),
        ("SELECT ?", {"a": 1}, "must be a list"),
        ("SELECT :name", ["x"], "`:name` is no placeholder"),
        ("SELECT ?1", ["x"], "`\\?1` is no placeholder"),
        ("SELECT 'a\0b'", None, "NUL"),
        (Sql(("SELECT '", "'"), ("x",)), None, "between quotes"),
        (Sql(("SELECT 1 -- ", ""), ("x",)), None, "inside a comment"),
        (Sql(("", ""), ("DROP TABLE t",)), None, "whole statement"),
        ("SELECT ?", [Ident("a")], "cannot be one of `params`"),
    ],
)
def test_what_cannot_be_bound_is_said_plainly(sql: Sql | str, params: list[object], message: str) -> None:
    """Before the driver sees it."""
    with pytest.raises(FlowExecutionError, match=message) as caught:
        render(sql, params, SQLITE)
    assert caught.value.error_class == "validation"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", False),
        ("/* hi */ select 'INSERT' from t", False),
        ("WITH a AS (SELECT 1) SELECT * FROM a", False),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", True),
        ("INSERT INTO t VALUES (1) RETURNING id", True),
        ("CREATE TABLE t (a)", True),
        ("SELECT * INTO x FROM t", True),
        ("SELECT replace(a, 'x', 'y') FROM t", False),
        ("REPLACE INTO t VALUES (1)", True),
        ("SELECT * FROM t FOR UPDATE", False),
        ("-- INSERT\nSELECT 1", False),
        ("PRAGMA user_version = 3", True),
        ("", False),
    ],
)
def test_statements_that_write_are_known_by_their_words(text: str, expected: bool) -> None:
    """Words in literals and comments do not count."""
    assert writes((text,)) is expected


def test_the_leading_word_is_behind_comments() -> None:
    """Comments and case do not hide it."""
    assert leading_word("-- a\n /* b */ begin", SQLITE) == "BEGIN"


WORDS = "SELECT FROM WHERE SET IN AND a t1 = = < > <> § § § ( ) , . - -- /* * | ' \" ` ? $1 %s :x ; [ ] é 1 #".split()


@pytest.mark.parametrize("dialect", [GENERIC, SQLITE, POSTGRES, MYSQL], ids=lambda each: each.name)
def test_a_statement_of_comparisons_is_told_at_a_glance_and_none_is_told_otherwise(dialect: Dialect) -> None:
    """A comment behind a statement changes nothing, and has its tokens looked at."""
    chosen = random.Random(1)
    made = [
        [each + chosen.choice(("", " ")) for each in chosen.choices(WORDS, k=chosen.randint(1, 8))] for _ in range(1500)
    ]
    values = 0
    for text in ["SELECT a = §b", "SELECT a = §.x", "SELECT a = --§", *("SELECT " + "".join(each) for each in made)]:
        found = kinds(text, dialect)
        assert found == kinds(text + " /**/", dialect), text
        values += found.count("value")
    assert values > 100
