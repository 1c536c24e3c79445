"""Two connections of one type, and many runs of one flow, never meet: told by the server, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.engine.support import until

import flowlang
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRegistry

FLOW = """\
flow: letters
inputs: [{name: who, type: string, required: true}]
vars: {who: "${inputs.who}"}
connections:
  left: {type: post, port: "${env.PORT}", box: left}
  right: {type: post, port: "${env.PORT}", box: right}
steps:
  - post_send: {id: a, connection: left, letter: "${vars.who}"}
  - parallel:
      - post_send: {id: b, connection: right, letter: "${vars.who}"}
      - post_send: {id: c, connection: left, letter: "${vars.who}"}
  - for_each: [1, 2]
    do: [{post_send: {connection: right, letter: "${vars.who}"}}]
outputs: [{name: numbers, value: ["${a.number}", "${b.number}", "${c.number}"]}]
"""


class Server:
    """Numbers its connections and keeps what came through each."""

    def __init__(self) -> None:
        self.lines: dict[int, list[str]] = {}
        self.now = 0
        self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.lines) + 1
        self.lines[number] = []
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while line := await reader.readline():
                self.lines[number].append(line.decode().strip())
                writer.write(f"{number}\n".encode())
                await writer.drain()
        finally:
            self.now -= 1
            writer.close()


class Post(ConnectionPlugin):
    """Keeps all it has on itself, as the guide allows."""

    name = "post"
    description = "sends letters"
    version = "1.0.0"

    def get_config_schema(self) -> dict[str, Any]:
        port = {"type": "integer", "description": "where"}
        return {"type": "object", "properties": {"port": port, "box": {"type": "string", "description": "which"}}}

    async def connect(self, config: dict[str, Any]) -> Any:
        self.config = config
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", config["port"])
        self.busy = asyncio.Lock()
        return self

    async def disconnect(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def get_connection(self) -> Any:
        await self.busy.acquire()
        return self

    async def release_connection(self, connection: Any) -> None:
        self.busy.release()

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"post_send": self.send}

    async def send(self, letter: str, connection: Any = None) -> dict[str, Any]:
        """Send a letter; the answer is the number that the server gave this connection."""
        connection.writer.write(f"{connection.config['box']} {letter}\n".encode())
        return {"number": int(await connection.reader.readline())}


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Server, dict[str, Any]]]:
    told = Server()
    listening = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    registry = PluginRegistry(discover=False)
    registry.register(Post)
    try:
        yield told, {"registry": registry, "env": {"PORT": str(listening.sockets[0].getsockname()[1])}}
    finally:
        listening.close()
        await listening.wait_closed()
        await until(lambda: not told.now)


async def test_two_connections_of_one_type_and_a_hundred_runs_never_meet() -> None:
    async with server() as (told, options):
        flow = flowlang.load(text=FLOW, registry=options["registry"])
        whos = [f"run{n}" for n in range(100)]
        results = await asyncio.gather(*[flowlang.run(flow, {"who": who}, **options) for who in whos])
    assert all(each.succeeded for each in results), results[0].failure
    assert len(told.lines) == 200
    assert told.most > 100
    came = sorted(tuple(lines) for lines in told.lines.values())
    assert came == sorted(tuple(lines) for who in whos for lines in ([f"left {who}"] * 2, [f"right {who}"] * 3))
    for result in results:
        a, b, c = result.outputs["numbers"]
        assert a == c != b


async def test_a_cancelled_run_takes_nothing_from_the_others() -> None:
    async with server() as (told, options):
        flow = flowlang.load(text=FLOW, registry=options["registry"])
        handles = [flowlang.start(flow, {"who": f"run{n}"}, **options) for n in range(20)]
        for _ in range(12):
            await asyncio.sleep(0)
        for each in handles[::2]:
            each.cancel()
        results = await asyncio.gather(*handles)
    assert {each.status for each in results[1::2]} == {"succeeded"}
    assert all(len({line.split()[1] for line in lines}) <= 1 for lines in told.lines.values())
    assert told.now == 0
