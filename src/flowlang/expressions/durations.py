"""Lengths of time as flows write them."""

from __future__ import annotations

import math
import re

FORMS = "250ms, 5s, 2m, 1h, 1d, PT5S"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIMPLE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)?", re.ASCII)
_ISO = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,9}(?:\.\d{1,9})?)W)?(?:(\d{1,9}(?:\.\d{1,9})?)D)?"
    r"(?:T(?=\d)(?:(\d{1,9}(?:\.\d{1,9})?)H)?(?:(\d{1,9}(?:\.\d{1,9})?)M)?(?:(\d{1,15}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
_ISO_SECONDS = (7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0)
_WORDY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]{1,12})\.?", re.ASCII)
_WORDS = {
    "ms": ("milliseconds", "msec", "msecs", "millis"),
    "s": ("seconds", "secs"),
    "m": ("minutes", "mins"),
    "h": ("hours", "hrs"),
    "d": ("days",),
}


def parse_duration(value: object) -> float | None:
    """Seconds; None when `value` is no duration: `250ms`, `5s`, `2m`, `1h`, `1d`, ISO 8601 without months and
    years, or a number of seconds. Never negative."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if 0 <= value < 1e15 and math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    simple = _SIMPLE.fullmatch(value)
    if simple:
        return float(simple[1]) * _UNITS[simple[2] or "s"]
    iso = _ISO.fullmatch(value)
    if iso:
        return sum(float(part) * size for part, size in zip(iso.groups(), _ISO_SECONDS, strict=True) if part)
    return None


def nearest_duration(text: str) -> str | None:
    """The duration that `text` (`5 seconds`, `2 Min`) most likely means, as a flow writes it."""
    match = _WORDY.fullmatch(text.strip())
    if not match:
        return None
    word = match[2].lower()
    for unit, words in _WORDS.items():
        if word == unit or any(word in (each, each.removesuffix("s")) for each in words):
            return match[1] + unit
    return f"{float(match[1]) * 7:g}d" if word in ("w", "week", "weeks") else None
