from typing import Any, TypedDict

import flowlang


class Price(TypedDict):
    total: float
    notes: list[str]


@flowlang.task(effect="none")
async def price(amounts: list[float]) -> Price:
    return {"total": sum(amounts), "notes": []}


@flowlang.task
def remember(words: dict[str, Any], more: int = 0, *, context=None) -> dict:
    return words


@flowlang.task
async def audit(connection) -> None:
    pass


@flowlang.task
async def anything(**words) -> dict:
    return words
