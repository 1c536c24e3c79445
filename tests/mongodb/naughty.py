# ruff: noqa: E501 - a list of texts
"""Texts that have broken programs: each kind that is known, and every character that separates, hides or commands."""

from __future__ import annotations

import unicodedata

_WORDS = [
    *("", " ", "\t", "\n", "\r\n", "undefined", "null", "None", "NaN", "-0", "0x0", "1e309", "true", "False", "1,000", "٣"),
    *("'", '"', "`", "''", '"\'"', "\\", "\\'", "%", "%s", "%n%n%n", "{}", "{{7*7}}", "${1+1}", "$${x}", "#{1}", "[]"),
    *("' OR 1=1 --", "'; DROP TABLE x; --", "1; return true", "'; while(true){}", "';return '' == '", "a' || 'a'=='a"),
    *("$ne", "$where", "$$ROOT", "$oid", "{$ne: null}", '{"$gt": ""}', "a.b", ".", "..", "__proto__", "constructor"),
    *("<script>alert(1)</script>", "javascript:alert(1)", "<!--#exec cmd-->", "../../etc/passwd", "CON", "COM1", "~", "-x"),
    *("田中さん", "찦차를", "ﷺ", "𠜎𠜱𠝹", "👩‍👩‍👧‍👦", "🇺🇸🇷🇺", "e\u0301", "é", "Å", "A\u030a", "ß", "İ", "ﬃ", "ǅ", "\ufeffx", "\ufffe"),
    *("\u202etest\u202c", "\u2066a\u2069", "\u200bx", "Z͑ͫ̓ͪ̂ͫ̽͏̴", "x" * 5000, "ä" * 2000, "\U0010ffff", "\ue000", "\ud7ff", "\x1b[31mred"),
    *("0123456789abcdef", "=1+1", "@SUM(1)", "+1", "-1", "1/2", "2026-03-01T00:00:00Z", "00000000-0000-0000-0000-000000000000"),
]  # fmt: skip
_ODD = [chr(each) for each in range(0x11000) if unicodedata.category(chr(each)) in ("Cc", "Cf", "Zl", "Zp", "Zs")]
STRINGS = [*_WORDS, *_ODD, *(f"a{each}b" for each in _ODD)]
