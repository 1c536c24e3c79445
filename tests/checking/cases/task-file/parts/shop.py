import flowlang


@flowlang.task
async def sell() -> None:
    pass
