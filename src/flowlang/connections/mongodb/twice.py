"""Which changes are the same when they are made twice, told from what a flow writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SETTING = frozenset({"$set", "$unset", "$setOnInsert", "$max", "$min", "$addToSet", "$pull", "$pullAll"})


def of_one(given: Mapping[str, Any]) -> bool:
    """Whether the filter names one document by its `_id`: another one cannot take its place the second time."""
    filter_ = given.get("filter")
    if not isinstance(filter_, dict) or "_id" not in filter_ or given.get("allow_operators", False) is not False:
        return False
    wanted = filter_["_id"]
    return not (isinstance(wanted, dict) and any(str(key).startswith("$") for key in wanted))


def deletes(given: Mapping[str, Any]) -> bool:
    """All that fit, or one by its `_id`. Of several that fit, the second time would delete another one."""
    return given.get("many") is True or of_one(given)


def updates(given: Mapping[str, Any]) -> bool:
    """By operators that say what is to stand there, and not what is to be added."""
    update = given.get("update")
    if not isinstance(update, dict) or not update.keys() <= _SETTING:
        return False
    return of_one(given) or (given.get("many") is True and given.get("upsert", False) is False)
