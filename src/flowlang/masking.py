"""Keeping secrets out of everything that leaves a run.

Two guards (see `docs/secrets.md`): what is *tainted*, known before the run, is replaced whole; text that comes
from outside is scrubbed of every known secret of `SHORTEST` characters or more, in its plain, URL-encoded,
base64, hex and JSON forms. Shorter secrets are never searched for: text that may hold one is withheld whole, which
is that of a connection that is opened with one, and that of a task that is given a secret while the run has short ones.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

MASK = "***"
SHORTEST = 6
WITHHELD = f"(withheld: it may hold a secret of fewer than {SHORTEST} characters)"
_BUDGET = 20_000  # values looked at in one event; what lies beyond is withheld, not shown unchecked


def forms(secret: str) -> set[str]:
    """The ways a secret may be written: plain, URL-encoded, JSON, hex, base64 at each of its three offsets."""
    from urllib.parse import quote, quote_plus

    raw = secret.encode("utf-8", "surrogatepass")
    found = {
        secret,
        quote(secret, safe="", errors="surrogatepass"),
        quote_plus(secret, errors="surrogatepass"),
        quote(secret, errors="surrogatepass"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    }
    for lead in range(3):
        padded = base64.b64encode(b"\0" * lead + raw)
        start = (0, 2, 3)[lead]
        stop = len(padded) if (lead + len(raw)) % 3 == 0 else len(padded.rstrip(b"=")) - 1
        encoded = padded[start:stop].decode()
        found.update({encoded, encoded.replace("+", "-").replace("/", "_")})
        if lead == 0:
            found.update({padded.decode(), padded.decode().rstrip("=")})
    return {each for each in found if len(each) >= SHORTEST}


class Masker:
    """Knows the secrets of one run. More may be added while the run goes on (inputs, configs)."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._needles: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.active = False  # whether there is anything to look for
        self.short = False  # whether a secret is too short to be looked for
        for each in secrets:
            self.add(each)

    def add(self, secret: object) -> None:
        """Know one more secret. Containers add every text and number in them."""
        if isinstance(secret, Mapping):
            for each in secret.values():
                self.add(each)
            return
        if isinstance(secret, (list, tuple, set)):
            for each in secret:
                self.add(each)
            return
        if isinstance(secret, bytes):
            self.add(secret.decode("latin-1"))
            return
        if secret is None:
            return
        try:
            text = str(secret)
        except Exception:  # noqa: BLE001 - foreign code; nobody knows what to look for
            self.short = True
            return
        if len(text) < SHORTEST or isinstance(secret, bool):
            self.short = self.short or text != ""
            return
        wanted = forms(text)
        for line in text.splitlines():
            if len(line) >= SHORTEST:
                wanted |= forms(line)
        if not wanted <= self._needles:
            self._needles |= wanted
            self._pattern = None
            self.active = True

    def note(self, values: object) -> None:
        """Know of secrets that texts are not searched for, because there may be very many: whether one is short."""
        own = Masker()
        own.add(values)
        self.short = self.short or own.short

    def over(self, values: Sequence[object]) -> Masker | None:
        """For text of what was given `values`: each is secret, or a container with something secret in it. A masker
        that knows those, too; None when the text may hold a secret that is too short to be looked for."""
        if not values:
            return self
        own = Masker()
        for each in values:
            own.short = False  # of a container, the short parts may be those that are not secret
            own.add(each)
            if own.short and not isinstance(each, (Mapping, list, tuple, set)):
                return None
        own._needles |= self._needles
        return None if self.short else own

    def text(self, text: str) -> str:
        """`text` with every known secret replaced."""
        if not self._needles:
            return text
        if self._pattern is None:
            longest_first = sorted(self._needles, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return self._pattern.sub(MASK, text)

    def value(self, value: Any) -> Any:
        """`value` with every text inside scrubbed; the very same object when nothing had to change."""
        if not self._needles:
            return value
        try:
            return self._walk(value, [_BUDGET])
        except RecursionError:
            return MASK  # nested too deeply to be looked through

    def _walk(self, value: Any, budget: list[int]) -> Any:
        budget[0] -= 1
        if budget[0] < 0:
            return MASK
        if isinstance(value, str):
            clean = self.text(value)
            return value if clean == value else clean
        if isinstance(value, (int, float)) or value is None:
            return MASK if not isinstance(value, bool) and value is not None and str(value) in self._needles else value
        if isinstance(value, Mapping):
            pairs = {self._walk(key, budget): self._walk(each, budget) for key, each in value.items()}
            same = len(pairs) == len(value) and all(pairs.get(key, self) is each for key, each in value.items())
            return value if same else pairs
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [self._walk(each, budget) for each in value]
            if all(a is b for a, b in zip(items, value)):
                return value
            return items if isinstance(value, list) else _like(value, items)
        if isinstance(value, bytes):
            clean = self.text(value.decode("latin-1"))
            return value if MASK not in clean else clean.encode("latin-1")
        if is_dataclass(value) and not isinstance(value, type):
            changed = {}
            for each in fields(value):
                old = getattr(value, each.name)
                new = self._walk(old, budget)
                if new is not old:
                    changed[each.name] = new
            return replace(value, **changed) if changed else value
        try:
            text = str(value)
        except Exception:  # noqa: BLE001 - foreign code; what cannot be read is not shown
            return MASK
        clean = self.text(text)
        return value if clean == text else clean


def _like(value: tuple[Any, ...] | set[Any] | frozenset[Any], items: list[Any]) -> Any:
    """`items` in a container of the kind of `value`; a subclass, which may want other arguments, becomes its base."""
    for kind in (tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(items)
    return items
