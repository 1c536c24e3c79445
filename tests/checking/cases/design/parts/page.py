import flowlang


@flowlang.task
async def page(limit: int) -> dict:
    return {"page": limit}
