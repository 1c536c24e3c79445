import flowlang


@flowlang.task
async def audit(connection) -> None:
    pass
