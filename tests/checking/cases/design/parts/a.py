from typing import TypedDict

import flowlang


class Given(TypedDict):
    v: str


@flowlang.task(name="A")
async def give() -> Given:
    return {"v": "a"}


@flowlang.task(name="B")
async def take(v: str) -> None:
    pass
