"""Flows as runs keep them, and their plans again."""

from __future__ import annotations

import os

from flowlang.api import InvalidFlowError, read_text, still
from flowlang.checking.checker import Checked
from flowlang.checking.flows import check_text
from flowlang.connections import plugin_registry
from flowlang.durable.flows import laid_out, stored
from flowlang.durable.opening import data_folder
from flowlang.durable.places import places
from flowlang.durable.records import StoredFlow
from flowlang.exceptions import StoreError
from flowlang.plan import Plan, Step

_CAPTURED: dict[tuple[str, str], tuple[dict[str, str], StoredFlow]] = {}
_PLANS: dict[tuple[str, object], Plan] = {}
_MOST = 256  # of each


def captured(checked: Checked) -> StoredFlow:
    """The flow with all texts that it reaches, as runs keep it. Which those are is found by checking it, once as long
    as they stay the same."""
    assert checked.text is not None
    assert checked.file is not None
    text = checked.text if isinstance(checked.text, str) else checked.text.decode("utf-8-sig")
    entry = os.path.abspath(checked.file)
    reached, flow = _CAPTURED.get((entry, text), ({}, None))
    if flow is not None and all(still(*each) for each in reached.items()):
        return flow
    reached = {}

    def read(path: str) -> str:
        reached[os.path.realpath(path)] = found = read_text(path)
        return found

    check_text(text, checked.file, registry=plugin_registry, read=read)
    flow = stored(checked.name or "", checked.file, {entry: text, **reached})
    while len(_CAPTURED) >= _MOST:
        del _CAPTURED[next(iter(_CAPTURED))]
    _CAPTURED[entry, text] = reached, flow
    return flow


def plan_of(flow: StoredFlow) -> Plan:
    """The plan of a stored flow. Raises `InvalidFlowError` when it does not pass the check here: a plugin is missing,
    or is of another version; `StoreError` when it is damaged."""
    entry = laid_out(flow, os.path.join(data_folder(), "flows"))  # again, where somebody has cleared it away
    key = (flow.hash, plugin_registry.fingerprint())
    known = _PLANS.get(key)
    if known is not None:
        return known
    if stored(flow.name, flow.file, flow.texts).hash != flow.hash:
        raise StoreError(f"the flow {flow.hash[:12]} in the store is damaged: its texts are not those of its hash")
    checked = check_text(flow.texts[flow.file], flow.file, path=entry, registry=plugin_registry, read=read_text)
    if checked.plan is None:
        first = next(each for each in checked.findings if each.severity == "error")
        raise InvalidFlowError(f"{first.span}: {first.message}", checked.findings)
    while len(_PLANS) >= _MOST:
        del _PLANS[next(iter(_PLANS))]
    _PLANS[key] = checked.plan
    return checked.plan


def steps_of(flow: StoredFlow) -> dict[str, Step]:
    """The steps of a stored flow by their paths, with `[*]` for turns. Empty where its plan cannot be made: a run can
    be told of without its plugins."""
    try:
        return dict(places(plan_of(flow)))
    except (InvalidFlowError, StoreError):
        return {}
