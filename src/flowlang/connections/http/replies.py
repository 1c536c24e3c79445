"""What comes back: read within bounds, decompressed within the same bounds, and parsed by its content type.

| content type | in a flow |
|---|---|
| `application/json`, `…+json` | the value: integers exact, other numbers 64-bit floats; NaN is refused |
| `text/…`, XML, JavaScript, forms | text, by the charset stated, else UTF-8; bytes where that cannot be read |
| anything else | bytes |
| no content | null |
"""

from __future__ import annotations

import codecs
import email.utils
import time
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

from flowlang.connections.http.errors import RequestFailed, invalid

_CODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}
_MOST_CODINGS = 3
ACCEPTED = "gzip, deflate"


class Headers:
    """The headers of a reply, by lower-case name."""

    __slots__ = ("_pairs",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]

    def get(self, name: str) -> str | None:
        found = [value for each, value in self._pairs if each == name]
        return ", ".join(found) if found else None

    def as_value(self) -> dict[str, str]:
        """Name → value. Of a header that stands there several times `, ` parts the values, of cookies a line break."""
        found: dict[str, str] = {}
        for name, value in self._pairs:
            before = found.get(name)
            found[name] = value if before is None else f"{before}{chr(10) if name == 'set-cookie' else ', '}{value}"
        return found


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def pieces(stream: AsyncIterable[bytes], headers: Headers, most: int, *, limit: str) -> AsyncIterator[bytes]:
    """The content of a reply, decompressed, never more than `most` bytes. `limit` names the bound in the error."""
    stated = headers.get("content-length")
    decoders = _decoders(headers.get("content-encoding"))
    if stated is not None and not decoders and stated.isascii() and stated.isdigit() and int(stated) > most:
        raise _too_large(most, limit)
    count = 0
    async with aclosing(aiter(stream)) as raw:  # type: ignore[type-var]
        async for piece in raw:
            for decoder in decoders:
                piece = decoder.decoded(piece, most + 1)
            count += len(piece)
            if count > most:
                raise _too_large(most, limit)
            if piece:
                yield piece
    for decoder in decoders:
        decoder.finish()


def _too_large(most: int, limit: str) -> RequestFailed:
    return RequestFailed(f"the reply is larger than {most} bytes, the bound set by {limit}", "limit")


class _Decoder:
    """One content coding. A few bytes may stand for gigabytes, so it never makes more than it was asked for."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inner = zlib.decompressobj(_CODINGS[coding])
        self._begun = False

    def decoded(self, data: bytes, most: int) -> bytes:
        found = bytearray()
        while data and len(found) < most:
            found += self._step(data, most - len(found))
            if self._inner.eof:
                data = self._inner.unused_data
                if data:
                    self._inner, self._begun = zlib.decompressobj(_CODINGS[self._coding]), False
            else:
                data = self._inner.unconsumed_tail
        return bytes(found)

    def _step(self, data: bytes, most: int) -> bytes:
        try:
            found = self._inner.decompress(data, most)
        except zlib.error as error:
            if self._begun or self._coding != "deflate":
                raise RequestFailed(f"the reply is no valid {self._coding}: {error}", "connection_lost") from error
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers send deflate without its header
            self._begun = True
            return self._step(data, most)
        self._begun = True
        return found

    def finish(self) -> None:
        if self._begun and not self._inner.eof:
            raise RequestFailed("the reply was cut short: its compressed content has no end", "connection_lost")


def _decoders(coding: str | None) -> list[_Decoder]:
    names = [each.strip().lower() for each in (coding or "").split(",")]
    names = [each for each in names if each and each != "identity"]
    unknown = next((each for each in names if each not in _CODINGS), None)
    if unknown is not None or len(names) > _MOST_CODINGS:
        raise invalid(f"the reply is encoded as `{coding}`; this connection reads {ACCEPTED}")
    return [_Decoder(each) for each in reversed(names)]


# ── parsing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def parse(content: bytes, headers: Headers, *, json: bool = False) -> Any:
    """The content as a value. `json`: what states no content type may be JSON. Raises RequestFailed (`validation`) for
    JSON that is none."""
    kind, charset = _content_type(headers.get("content-type"))
    if json and not kind and content[:1] in (b"{", b"["):
        kind = "application/json"
    if kind == "application/json" or kind.endswith("+json"):
        return from_json(content) if content.strip() else None
    if kind.startswith("text/") or kind.endswith(("/xml", "+xml", "/javascript", "/x-www-form-urlencoded", "/yaml")):
        return _text(content, charset)
    return content or (None if not kind else b"")


def value_of(content: bytes, headers: Headers, *, json: bool = False) -> Any:
    """The content as a value where it is one, and null where it is not what it says."""
    try:
        return parse(content, headers, json=json)
    except RequestFailed:
        return None


def from_json(content: bytes) -> Any:
    """JSON as a value. Raises RequestFailed (`validation`)."""
    import json

    try:
        return json.loads(content, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise invalid(f"the reply says it is JSON and is not: {where}") from None
    except RecursionError:
        raise invalid("the reply's JSON is nested too deeply") from None
    except ValueError as error:
        raise invalid(f"the reply says it is JSON and is not: {error}") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _text(content: bytes, charset: str | None) -> str | bytes:
    try:
        return content.decode(codecs.lookup(charset or "utf-8").name)
    except (LookupError, UnicodeError):
        return content


def _content_type(text: str | None) -> tuple[str, str | None]:
    kind, _, rest = (text or "").partition(";")
    for part in rest.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return kind.strip().lower(), value.strip().strip("\"'") or None
    return kind.strip().lower(), None


def retry_after(headers: Headers, most: float) -> float | None:
    """Seconds that the service asks to wait (RFC 9110, section 10.2.3: a number or a date), at most `most`."""
    text = (headers.get("retry-after") or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), most)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return min(max(0.0, moment.timestamp() - time.time()), most)


def gist(content: bytes, headers: Headers, most: int = 500) -> str:
    """What a refusal says, on one line: the sentence of an error object, else the beginning of a text."""
    try:
        value = parse(content, headers)
    except RequestFailed:
        value = _text(content, None)
    if isinstance(value, dict):
        inner = value.get("error")
        for each in (value, inner if isinstance(inner, dict) else {}):
            said = (each.get(key) for key in ("detail", "message", "error_description", "title", "error"))
            text = next((one for one in said if isinstance(one, str) and one), None)
            if text is not None:
                value = text
                break
        else:
            value = _text(content, None)
    if not isinstance(value, str):
        return ""
    text = " ".join(value.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
