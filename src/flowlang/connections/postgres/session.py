"""Which statements leave a mark on the session they run in, and how it is wiped off.

Asking the server to reset a session costs a round trip, as much as a small query. So it is asked only when the session
may be dirty, and that is judged by the statements that ran in it, cautiously: a statement is clean when it is a SELECT
(or VALUES, TABLE, WITH, SHOW, EXPLAIN) that calls nothing but functions known to leave no mark. All else makes the
session dirty: writes, since triggers may run anything; settings; functions of the user's own. What cannot be seen in
the text, a view or a row policy that calls a function which changes the session, needs `reset: always`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from flowlang.connections._sql.dialect import POSTGRES
from flowlang.connections._sql.tokens import tokens

Mark = Literal["clean", "dirty", "spent"]

RESET = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
    "DISCARD TEMP; DISCARD SEQUENCES"
)
"""DISCARD ALL without what it does to prepared statements: these are the driver's, and stay."""

_READS = frozenset("SELECT VALUES TABLE WITH SHOW EXPLAIN".split())
_SPENT = frozenset("PREPARE EXECUTE DEALLOCATE DISCARD LOAD".split())  # they meddle with what the driver keeps
_WRITES = frozenset("INSERT UPDATE DELETE MERGE INTO".split())
# Words before a bracket that are no functions of anybody's, and built-in functions that leave no mark.
_HARMLESS = frozenset(
    """
    ALL AND ANY ARRAY AS ASYMMETRIC BETWEEN BY CASE CAST COALESCE CROSS CUBE DISTINCT ELSE END EXCEPT EXISTS EXPLAIN
    EXTRACT FILTER FOR FROM GREATEST GROUP GROUPING HAVING ILIKE IN INNER INTERSECT IS JOIN LATERAL LEAST LEFT LIKE
    LIMIT MATERIALIZED NOT NULLIF OF OFFSET ON OR ORDER OUTER OVER OVERLAY PARTITION POSITION RIGHT ROLLUP ROW SELECT
    SETS SIMILAR SOME SUBSTRING SYMMETRIC TABLESAMPLE THEN TREAT TRIM UNION USING VALUES WHEN WHERE WITH WITHIN BIT
    BPCHAR CHAR CHARACTER DEC DECIMAL FLOAT INTERVAL NUMERIC TIME TIMESTAMP TIMESTAMPTZ TIMETZ VARBIT VARCHAR VARYING
    ABS AGE ARRAY_AGG ARRAY_APPEND ARRAY_CAT ARRAY_LENGTH ARRAY_POSITION ARRAY_PREPEND ARRAY_REMOVE ARRAY_TO_JSON
    ARRAY_TO_STRING ASCII AVG BOOL_AND BOOL_OR BTRIM CARDINALITY CEIL CEILING CHAR_LENGTH CHARACTER_LENGTH CHR
    CLOCK_TIMESTAMP CONCAT CONCAT_WS CORR COUNT CUME_DIST CURRENT_DATABASE CURRENT_SCHEMA CURRENT_SETTING DATE DATE_BIN
    DATE_PART DATE_TRUNC DECODE DENSE_RANK DIV ENCODE EVERY EXP FIRST_VALUE FLOOR FORMAT GEN_RANDOM_UUID GENERATE_SERIES
    INITCAP ISFINITE JSON_AGG JSON_ARRAY_LENGTH JSON_BUILD_ARRAY JSON_BUILD_OBJECT JSON_EACH JSON_OBJECT_AGG
    JSON_ARRAY_ELEMENTS JSON_TYPEOF JSONB_AGG JSONB_ARRAY_ELEMENTS JSONB_ARRAY_ELEMENTS_TEXT JSONB_ARRAY_LENGTH
    JSONB_BUILD_ARRAY JSONB_BUILD_OBJECT JSONB_EACH JSONB_EACH_TEXT JSONB_OBJECT_AGG JSONB_OBJECT_KEYS JSONB_PATH_EXISTS
    JSONB_PATH_QUERY JSONB_SET JSONB_STRIP_NULLS JSONB_TYPEOF LAG LAST_VALUE LEAD LENGTH LN LOG LOWER LPAD LTRIM
    MAKE_DATE MAKE_INTERVAL MAKE_TIMESTAMP MAKE_TIMESTAMPTZ MAX MD5 MIN MOD MODE NOW NTH_VALUE NTILE OCTET_LENGTH
    PERCENT_RANK PERCENTILE_CONT PERCENTILE_DISC PG_BACKEND_PID PG_NOTIFY PG_SLEEP PG_TYPEOF POWER QUOTE_IDENT
    QUOTE_LITERAL RANDOM RANK REGEXP_MATCH REGEXP_MATCHES REGEXP_REPLACE REGEXP_SPLIT_TO_ARRAY REGEXP_SPLIT_TO_TABLE
    REPEAT REPLACE REVERSE ROUND ROW_NUMBER ROW_SECURITY_ACTIVE ROW_TO_JSON RPAD RTRIM SIGN SPLIT_PART SQRT STARTS_WITH
    STATEMENT_TIMESTAMP STDDEV STRING_AGG STRING_TO_ARRAY STRPOS SUBSTR SUM TO_CHAR TO_DATE TO_HEX TO_JSON TO_JSONB
    TO_NUMBER TO_REGCLASS TO_TIMESTAMP TO_TSQUERY TO_TSVECTOR TRANSLATE TRUNC TS_RANK UNNEST UPPER VARIANCE VERSION
    WIDTH_BUCKET
    """.split()
)


_WORDS = ("word", "rest")  # the two kinds of token that are words


@lru_cache(maxsize=2048)
def mark_of(text: str) -> Mark:
    """What a statement does to its session: nothing; something that `RESET` undoes; or something that goes only with
    the session."""
    words = [("", "")]  # kind and text of each token but comments
    words += [(kind, word) for kind, word, _ in tokens(text, POSTGRES) if kind != "comment"]
    leading = words[1][1].upper() if len(words) > 1 else ""
    if leading in _SPENT:
        return "spent"
    if leading not in _READS and leading != "(":
        return "dirty"
    upper = [word.upper() if kind in _WORDS else word for kind, word in words]
    if not _WRITES.isdisjoint(upper):
        return "dirty"
    for place in range(1, len(words) - 1):
        kind = words[place][0]
        if upper[place + 1] != "(" or kind not in (*_WORDS, "name"):
            continue
        if kind == "name" or upper[place - 1] == "." or upper[place] not in _HARMLESS:
            return "dirty"
    return "clean"
