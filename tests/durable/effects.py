"""Tasks whose effects can be counted: each is a line in a file."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from flowlang import task
from flowlang.tasks.context import Context
from flowlang.tasks.files import FILES_ROOT


def _note(context: Context, kind: str, value: Any = None) -> dict[str, Any]:
    shown = value if len(str(value)) < 1000 else len(str(value))
    told = {"step": context.step, "kind": kind, "key": context.idempotency_key, "value": shown}
    line = json.dumps(told, default=str) + "\n"
    file = os.open(os.path.join(FILES_ROOT.get(), "effects.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
    return {"step": context.step}


@task(effect="write")
async def change(context: Context, value: Any = None) -> dict[str, Any]:
    """An effect that must not happen twice."""
    return _note(context, "change", value)


@task(effect="write", idempotent=True)
async def put(context: Context, value: Any = None) -> dict[str, Any]:
    """An effect whose key makes it happen once, however often it is asked for."""
    return _note(context, "put", value)


@task(effect="read")
async def look(context: Context, value: Any = None) -> dict[str, Any]:
    return _note(context, "look", value)


@task(effect="write")
async def tarry(context: Context) -> dict[str, Any]:
    """A change for which the run really waits."""
    await asyncio.sleep(0.01)
    return _note(context, "change")


@task(effect="write")
async def echo(context: Context, value: str) -> dict[str, Any]:
    """A change that gives what it was given."""
    return _note(context, "change") | {"value": value}


@task(effect="read")
async def dwell(context: Context) -> dict[str, Any]:
    """A read that takes its time."""
    told = _note(context, "look")
    await asyncio.sleep(0.2)
    return told


@task(effect="write", idempotent=True)
async def refuse(context: Context, times: int) -> dict[str, Any]:
    """Fails that many times, then succeeds."""
    told = _note(context, "refuse")
    if context.attempt <= times:
        raise ValueError(f"refused for the {context.attempt}. time")
    return told
