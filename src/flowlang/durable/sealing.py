"""What is secret, as the store may hold it: encrypted with `FLOWLANG_STORE_KEY`, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowlang.exceptions import StoreError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE = "FLOWLANG_STORE_KEY"
_MARK = "sealed:"


class NoKey(StoreError):
    """Something secret would have to be stored, and there is no key to encrypt it with."""


class Sealer:
    """Seals and opens texts. The variable holds one or more Fernet keys, separated by commas: the first one seals, all
    of them open, so that keys can be changed while runs are under way."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._keys = (os.environ if env is None else env).get(VARIABLE, "")
        self._box: MultiFernet | None = None

    @property
    def ready(self) -> bool:
        return bool(self._keys)

    def seal(self, text: str) -> str:
        """`text` encrypted. Raises `NoKey`, and `StoreError` for a key that is none."""
        sealed: bytes = self._open_box().encrypt(text.encode())
        return _MARK + sealed.decode("ascii")

    def open(self, text: str) -> str:
        """What was sealed, or `text` itself when it was not."""
        if not text.startswith(_MARK):
            return text
        from cryptography.fernet import InvalidToken

        try:
            opened: bytes = self._open_box().decrypt(text.removeprefix(_MARK).encode("ascii"))
        except InvalidToken as error:
            raise StoreError(f"what the store holds was sealed with another key than those of {VARIABLE}") from error
        return opened.decode()

    def _open_box(self) -> Any:
        if not self._keys:
            raise NoKey(f"{VARIABLE} is not set: make a key with `flowlang runs key`, and keep it beside your secrets")
        if self._box is None:
            try:
                from cryptography.fernet import Fernet, MultiFernet
            except ImportError as error:
                raise StoreError("sealing what is secret needs: pip install 'flowlang[durable]'") from error
            try:
                self._box = MultiFernet([Fernet(each.strip()) for each in self._keys.split(",")])
            except ValueError as error:
                raise StoreError(f"{VARIABLE} holds no key as `flowlang runs key` makes one") from error
        return self._box


def new_key() -> str:
    """A key for `FLOWLANG_STORE_KEY`."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode("ascii")


def is_sealed(text: str | None) -> bool:
    return text is not None and text.startswith(_MARK)
