"""Several commands at once, scripts, and messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from flowlang.connections.redis.commands import keys_of
from flowlang.connections.redis.handle import Command, Handle
from flowlang.connections.redis.values import Word, invalid, word, words
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task
from flowlang.tasks.values import Sql

_MOST = 10_000  # commands of one pipeline


class Results(TypedDict):
    """`results`: what each command answered, in order."""

    results: list[Any]
    count: int


class Result(TypedDict):
    """`result`: what the script returned."""

    result: Any


class Published(TypedDict):
    """`receivers`: how many clients got it."""

    receivers: int


@task(effect="write", idempotent=False)
async def pipeline(commands: list[list[Any]], atomic: bool = True, *, connection: Handle) -> Results:
    """Run several commands in one go.

    With `atomic` nobody else comes in between, and a command the server does not take keeps all of them from being
    run. Redis has no rollback: when one fails while it runs (a key holds something else), the others have been done.

    Args:
        commands: `[COMMAND, argument, …]` for each, at most 10,000; commands that work on keys, and do not wait
        atomic: between MULTI and EXEC; false: just sent together
        connection: a link of the pool (injected)

    Returns:
        results: what each command answered, in order
        count: how many

    Raises:
        FlowExecutionError: the error of the command that failed, with its number

    Example:
        - redis_pipeline:
            id: moved
            connection: cache
            commands:
              - [DECRBY, "stock:a", 1]
              - [INCRBY, "sold:a", 1]
    """
    if len(commands) > _MOST:
        raise invalid(f"`commands` holds {len(commands)}: at most {_MOST:,} go together")
    packed = [_command(connection, number, each) for number, each in enumerate(commands, 1)]
    if not packed:
        return {"results": [], "count": 0}
    answers = await (_isolated(connection, packed) if atomic else connection.many(packed))
    for number, answer in enumerate(answers, 1):
        if connection.is_refusal(answer):
            error = connection.refused(answer, packed[number - 1])
            error.add_note(f"command {number} of {len(packed)}; those before and after it have been run")
            raise error from answer
    return {"results": [connection.read(each) for each in answers], "count": len(answers)}


@task(effect="write", idempotent=False)
async def evaluate(
    script: Sql, keys: list[str | bytes] | None = None, args: list[Any] | None = None, *, connection: Handle
) -> Result:
    """Run a Lua script in the server. The script is the author's own text: what comes from elsewhere goes into `args`.

    Args:
        script: Lua; expressions are refused in it
        keys: what the script knows as `KEYS`, each with the connection's prefix
        args: what it knows as `ARGV`
        connection: a link of the pool (injected)

    Returns:
        result: what it returned

    Raises:
        FlowExecutionError: `validation` for an expression in the script, or an error in it

    Example:
        - redis_eval:
            id: capped
            connection: cache
            script: |
              local count = redis.call('INCR', KEYS[1])
              if count > tonumber(ARGV[1]) then return 0 end
              return count
            keys: ["seats:${inputs.event}"]
            args: [100]
    """
    text = Sql.of(script)
    if text.values:
        raise invalid("`script` holds an expression: a script is never made from data; hand the value over in `args`")
    if not text.texts[0].strip():
        raise invalid("`script` is empty")
    wires = connection.keys.wires(keys) if keys else []
    values = words(args or [], "item {} of `args`")
    answer = await connection.call("EVAL", word(text.texts[0], "`script`"), len(wires), *wires, *values)
    return {"result": connection.read(answer)}


@task(effect="write", idempotent=False)
async def publish(channel: str, message: Any, *, connection: Handle) -> Published:
    """Send a message to those who listen now. A channel is no key: the connection's prefix is not put before it.

    Args:
        channel: its name
        message: text and bytes as they are, anything else as its JSON text
        connection: a link of the pool (injected)

    Returns:
        receivers: how many clients got it

    Raises:
        FlowExecutionError: `validation` for a message that Redis cannot send

    Example:
        - redis_publish:
            id: told
            connection: cache
            channel: orders
            message: {order: "${inputs.order}"}
    """
    return {"receivers": await connection.call("PUBLISH", word(channel, "`channel`"), word(message, "`message`"))}


def _command(connection: Handle, number: int, entry: Any) -> Command:
    """One command of a pipeline, its keys with the prefix. Raises FlowExecutionError (`validation`) with its number."""
    what = f"item {number} of `commands`"
    if not isinstance(entry, (list, tuple)) or not entry or not isinstance(entry[0], str):
        raise invalid(f"{what} must be a list that begins with a command: [INCRBY, key, 1]")
    name = entry[0].upper()
    places = keys_of(name, len(entry), what)
    done: list[Word] = [name]
    for place, each in enumerate(entry[1:], 1):
        called = f"argument {place} of {what}"
        done.append(connection.keys.wire(each, called) if place in places else word(each, called))
    return done


async def _isolated(connection: Handle, commands: Sequence[Command]) -> list[Any]:
    """The answers to commands between MULTI and EXEC."""
    answers = await connection.many([["MULTI"], *commands, ["EXEC"]])
    for number, answer in enumerate(answers[:-1]):
        if connection.is_refusal(answer):
            failed = commands[number - 1] if number else ["MULTI"]
            error = connection.refused(answer, failed)
            error.add_note(f"command {number} of {len(commands)}; nothing was done")
            raise error from answer
    results = answers[-1]
    if connection.is_refusal(results):
        raise connection.refused(results, ["EXEC"]) from results
    if not isinstance(results, list):
        raise FlowExecutionError("EXEC answered nothing: the server did not run the commands", error_class="conflict")
    return results


TASKS = {"redis_pipeline": pipeline, "redis_eval": evaluate, "redis_publish": publish}
