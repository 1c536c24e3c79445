"""A text that stands for a config: equal for equal ones, and of no use to who wants to know what is in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

_KEY = os.urandom(32)  # of this process: a fingerprint cannot be looked up in a table, nor compared elsewhere


def fingerprint(kind: str, config: Mapping[str, Any]) -> str:
    """64 hexadecimal digits for `config` of a connection of `kind`: a keyed BLAKE2b, since there are secrets in it."""
    text = f"{kind} {_canonical(config)}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=32).hexdigest()


def _canonical(value: Any) -> str:
    """The same text for equal values, whatever the order of keys, and different texts for different ones: 1, 1.0, true
    and "1" are four."""
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{_canonical(key)}:{_canonical(each)}' for key, each in value.items()))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_canonical, value))}]"
    if isinstance(value, str):
        return repr(str(value))
    return f"{type(value).__qualname__}({value!r})"
