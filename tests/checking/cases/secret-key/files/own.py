import flowlang


@flowlang.task(effect="write")
async def blind() -> dict[str, int]:
    return {}


@flowlang.task(effect="write")
async def seeing(context: object) -> dict[str, int]:
    return {}
