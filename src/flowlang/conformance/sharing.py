"""Runs that share a connection, for the check that they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from flowlang.conformance.calls import Call, Steps
from flowlang.conformance.model import Failed, Unproven
from flowlang.conformance.subject import NAME, Ran, Subject, flow_text
from flowlang.connections.pools import Pools
from flowlang.events import StepSucceeded
from flowlang.tasks.decorator import task


async def run(subject: Subject, pools: Pools, call: Call, config: Mapping[str, Any], *, breaks: bool = False) -> Ran:
    """One run of a flow that makes `call`, and then has its link break."""
    steps = Steps(NAME)
    steps.add(call)
    if breaks:
        steps.lines.append(f"  - kit_breaks: {{connection: {NAME}}}")
    text = flow_text(subject.plugin.name, config, steps)
    return await subject.run(text, steps.inputs, pools=pools, tasks=[_kit_breaks])


@task(name="kit_breaks", effect="none")
async def _kit_breaks(connection: Any) -> None:
    raise ConnectionResetError("of the kit: the link broke")


async def succeed(runs: Sequence[Awaitable[Ran]], when: str) -> None:
    failures = [each.result.failure for each in await asyncio.gather(*runs)]
    for each in failures:
        if each is not None:
            raise Failed(f"of {len(failures)} that share a connection and {when} one fails: {each.type}: {each.detail}")


def last(ran: Ran) -> Any:
    """What the last step of a run gave."""
    found = [each.outputs for each in ran.events if isinstance(each, StepSucceeded)]
    if not found:
        raise Unproven(f"a flow with the calls `dirty` and `session` does not run: {ran.result}")
    return found[-1]
