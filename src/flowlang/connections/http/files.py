"""The content of a reply on its way into a file, which appears whole or not at all."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from flowlang.connections.http.errors import RequestFailed
from flowlang.tasks.places import Replacement, explained, in_thread, located

if TYPE_CHECKING:
    from flowlang.connections.http.calls import Call, Reply
    from flowlang.connections.http.client import Client

_GATHERED = 1024 * 1024  # bytes taken together for one write, which goes to a thread


async def save(client: Client, call: Call, file: str, most: int, wanted: str | None) -> tuple[Reply, int, str]:
    """The content of a reply into `file`. Returns the reply, the bytes and their SHA-256.

    Raises RequestFailed: `limit` beyond `most` bytes, `conflict` when the digest is not `wanted`; and what the file
    system says.
    """

    def begin() -> Replacement:
        with explained(file):
            return Replacement(located(file))

    replacement = await in_thread(begin)
    digest, count = hashlib.sha256(), 0

    def write(data: bytes) -> None:
        digest.update(data)
        with explained(file):
            replacement.file.write(data)

    def keep() -> None:
        with explained(file):
            replacement.keep()

    try:
        async with client.reply(call) as reply:
            held = bytearray()
            async with aclosing(client.pieces(reply, most, "`max_bytes`")) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    count += len(piece)
                    held += piece
                    if len(held) >= _GATHERED:
                        await in_thread(write, bytes(held))
                        held.clear()
            await in_thread(write, bytes(held))
        found = digest.hexdigest()
        if wanted is not None and found != wanted.lower():
            raise RequestFailed(f"{file!r}: what came has the SHA-256 {found}, not the one that was wanted", "conflict")
        await in_thread(keep)
    except BaseException:
        replacement.drop()
        raise
    return reply, count, found
