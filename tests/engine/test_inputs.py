"""Values that do not fit what an input declares: each is told with what was expected and what came."""

from __future__ import annotations

from typing import Any

import pytest

import flowlang

FLOW = """
flow: f
inputs:
  - {name: mode, type: string, enum: [fast, slow]}
  - {name: code, type: string, pattern: '^[A-Z]+$', min_length: 1, max_length: 3}
  - {name: count, type: integer, minimum: 1, maximum: 9}
  - {name: rows, type: array, min_length: 2, items: {type: object, properties: {id: {type: integer, required: true}}}}
  - {name: at, type: timestamp}
  - {name: limit, type: duration}
  - {name: token, type: string, secret: true, max_length: 3}
steps: []
"""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mode", "quick", "`mode` expects one of `'fast'`, `'slow'`, got `'quick'`"),
        ("code", "abc", "`code` expects text that matches `^[A-Z]+$`, got `'abc'`"),
        ("code", "ABCD", "`code` expects at most 3 characters, got `'ABCD'`"),
        ("count", 12, "`count` expects at most 9, got `12`"),
        ("count", 0, "`count` expects at least 1, got `0`"),
        ("count", "3", "`count` expects integer, got string `'3'`"),
        ("rows", [{"id": 1}], "`rows` expects at least 2 items, got 1"),
        ("rows", [{"id": 1}, {"id": "2"}], "`rows[1].id` expects integer, got string `'2'`"),
        ("rows", [{}, {"id": 2}], "`rows[0]` lacks the key `id`"),
        ("at", "yesterday", "`at` expects timestamp: this text does not follow ISO 8601"),
        ("limit", "soon", "`limit` expects duration: not a duration; the forms are 250ms, 5s, 2m, 1h, 1d, PT5S, or "
         "seconds"),
        ("token", "hunter2", "`token` is not as declared"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_with_what_would(name: str, value: Any, said: str) -> None:
    result = flowlang.run_sync(text=FLOW, inputs={name: value})
    assert [each.message for each in result.findings] == [f"input {said}"]
