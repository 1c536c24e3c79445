"""The tasks of `examples/orders.yaml`: plain and async functions become steps through `@flowlang.task`."""

from __future__ import annotations

from typing import TypedDict

import flowlang
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.context import Context


class Price(TypedDict):
    """Amounts in cents."""

    total: int
    discount: int


class Quote(TypedDict):
    """`price` in cents."""

    price: int


@flowlang.task(effect="none")
def price_with_discount(amounts: list[int], threshold: int = 2000, percent: int = 5) -> Price:
    """Add up the amounts, with a discount on large orders.

    Args:
        amounts: one amount for each line of the order, in cents
        threshold: the sum from which the discount is given, in cents
        percent: the discount
    """
    total = sum(amounts)
    discount = total * percent // 100 if total >= threshold else 0
    return {"total": total - discount, "discount": discount}


@flowlang.task(effect="read")
async def quote_shipping(parcels: int, context: Context, express: bool = False) -> Quote:
    """Ask the carrier for a price. This carrier is busy the first time, and never quotes for express.

    Args:
        parcels: how many parcels
        express: whether they have to arrive the next day
    """
    if express or context.attempt == 1:
        raise FlowExecutionError("the carrier's desk is busy", error_class="unavailable")
    context.logger.info("quoted %d parcels", parcels)
    return {"price": 250 + 150 * parcels}
