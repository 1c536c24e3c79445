import flowlang


@flowlang.task
async def sell() -> None:
    pass


@flowlang.task
async def csv_read(path: str) -> None:
    pass
