import flowlang


@flowlang.task
async def sell() -> None:
    pass


@flowlang.task
async def sqlite_query(query: str) -> None:
    pass
