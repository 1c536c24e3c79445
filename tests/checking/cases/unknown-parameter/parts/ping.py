import flowlang


@flowlang.task
async def ping() -> None:
    pass
