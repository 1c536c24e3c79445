"""What is sent: JSON, a form, files, text or bytes, and how long it is before the first byte leaves.

| in a flow | in a request |
|---|---|
| `json`: any value | JSON, by the map of the function `json()` (see `flowlang.tasks.jsontext`) |
| `form`: an object | `application/x-www-form-urlencoded`; null leaves a name out, a list repeats it |
| `files`: an object | `multipart/form-data` together with `form`, read from disk while it is sent |
| `body`: text or bytes | itself; text as UTF-8 |
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from flowlang.connections.http import urls
from flowlang.connections.http.errors import RequestFailed, invalid
from flowlang.records import frozen
from flowlang.tasks.jsontext import to_json
from flowlang.tasks.places import explained, in_thread, located, open_to_read

PIECE = 128 * 1024  # bytes read from a file at a time


class FilePart:
    """A file that is read while it is sent. `path`: as the flow gave it; `size`: bytes, when the body was made;
    `sha256`: of what was sent last, in hex."""

    __slots__ = ("path", "sha256", "size")

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.size = size
        self.sha256 = ""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Exactly `size` bytes. Raises RequestFailed (`conflict`) when the file shrinks meanwhile."""

        def opened() -> Any:
            with explained(self.path):
                return open_to_read(located(self.path))

        digest, left = hashlib.sha256(), self.size
        file = await in_thread(opened)
        try:
            while left:
                piece = await in_thread(file.read, min(PIECE, left))
                if not piece:
                    raise RequestFailed(f"{self.path!r} became shorter while it was sent", "conflict")
                left -= len(piece)
                digest.update(piece)
                yield piece
        finally:
            file.close()
        self.sha256 = digest.hexdigest()


@frozen
class Body:
    """The content of a request: its parts in order. It can be sent again as often as needed."""

    parts: tuple[bytes | FilePart, ...]
    content_type: str | None

    @property
    def size(self) -> int:
        return sum(each.size if isinstance(each, FilePart) else len(each) for each in self.parts)

    @property
    def whole(self) -> bytes | None:
        """The content when it is in memory already."""
        if all(isinstance(each, bytes) for each in self.parts):
            return b"".join(each for each in self.parts if isinstance(each, bytes))
        return None

    async def pieces(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                async for piece in part.pieces():
                    yield piece


async def body_of(json: Any, form: Any, files: Any, body: Any) -> Body | None:
    """The body that a step describes, None when it describes none. Raises RequestFailed (`validation`), and what
    the file system says of `files`."""
    given = [
        name for name, each in (("json", json), ("form", form), ("files", files), ("body", body)) if each is not None
    ]
    if len(given) > 1 and given != ["form", "files"]:
        raise invalid(f"a request has one body; these are {' and '.join(f'`{each}`' for each in given)}")
    if files is not None:
        return await _multipart(form or {}, files)
    if form is not None:
        return Body(
            (urls.encoded(_object(form, "form")).replace("%20", "+").encode(),), "application/x-www-form-urlencoded"
        )
    if json is not None:
        return Body((to_json(json).encode(),), "application/json")
    if isinstance(body, str):
        return Body((_utf8(body, "`body`"),), "text/plain; charset=utf-8")
    if isinstance(body, (bytes, bytearray, memoryview)):
        return Body((bytes(body),), "application/octet-stream")
    if body is not None:
        raise invalid("`body` must be text or bytes; `json` sends any value")
    return None


async def file_part(path: str) -> FilePart:
    """A file as it is now. Raises what the file system says of it."""
    return FilePart(path, await in_thread(_size, path))


def media_type(name: str) -> str:
    """The media type that the name of a file suggests."""
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(f"`{what}` must be an object")
    return value


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"{what} holds half a character (a lone surrogate)") from error


def _size(path: str) -> int:
    with explained(path), open_to_read(located(path)) as file:
        return os.fstat(file.fileno()).st_size


# ── multipart/form-data, RFC 7578 ───────────────────────────────────────────────────────────────────────────────


async def _multipart(form: Any, files: Any) -> Body:
    boundary = os.urandom(16).hex()
    parts: list[bytes | FilePart] = []
    for name, value in _object(form, "form").items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if each is not None:
                text = _utf8(urls.as_text(each, f"`form.{name}`"), f"`form.{name}`")
                parts += [_head(boundary, name, None, None), text, b"\r\n"]
    for name, value in _object(files, "files").items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            content, filename, kind = await _file(name, each)
            parts += [_head(boundary, name, filename, kind), content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return Body(tuple(parts), f"multipart/form-data; boundary={boundary}")


async def _file(name: str, value: Any) -> tuple[bytes | FilePart, str, str]:
    """The content, file name and media type of one file: a path, or `{path | content, filename, content_type}`."""
    given = {"path": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not given.keys() <= {"path", "content", "filename", "content_type"}:
        raise invalid(
            f"`files.{name}` must be a path, or an object with `path` or `content`, `filename`, `content_type`"
        )
    path, content = given.get("path"), given.get("content")
    if (path is None) == (content is None):
        raise invalid(f"`files.{name}` needs either `path` or `content`")
    filename = str(given.get("filename") or os.path.basename(str(path or name)))
    kind = str(given.get("content_type") or media_type(filename))
    if any(each in kind for each in "\r\n\0"):
        raise invalid(f"`files.{name}.content_type` is no media type")
    if path is not None:
        return await file_part(str(path)), filename, kind
    if isinstance(content, str):
        content = _utf8(content, f"`files.{name}.content`")
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise invalid(f"`files.{name}.content` must be text or bytes")
    return bytes(content), filename, kind


def _head(boundary: str, name: str, filename: str | None, kind: str | None) -> bytes:
    lines = [f"--{boundary}", f'Content-Disposition: form-data; name="{_quoted(name)}"']
    if filename is not None:
        lines[-1] += f'; filename="{_quoted(filename)}"'
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    return _utf8("\r\n".join(lines) + "\r\n\r\n", "a name in `form` or `files`")


def _quoted(name: str) -> str:
    """As browsers write it (HTML, multipart/form-data encoding algorithm): quotes and line ends cannot break out."""
    return str(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
