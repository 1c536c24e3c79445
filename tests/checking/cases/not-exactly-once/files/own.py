from typing import TypedDict

import flowlang
from flowlang.tasks.values import Secret


class Token(TypedDict):
    token: Secret[str]


@flowlang.task(effect="write")
async def pay(connection: object) -> None: ...


@flowlang.task(effect="write")
async def token(connection: object) -> Token: ...


@flowlang.task(effect="write")
async def charge(context: object) -> None: ...


@flowlang.task(effect="none")
async def counted(connection: object) -> None: ...
