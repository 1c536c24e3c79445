"""What the service's errors mean for a flow: whether a retry may help, and what `on_error` sees.

`flowlang explain rate_limited` and the like say what a class means. What is not here FlowLang knows by itself: a link
that is refused or lost, a time limit.
"""

from __future__ import annotations

from collections.abc import Mapping

BY_CODE: Mapping[str, str] = {
    "unauthorized": "auth",
    "forbidden": "permission",
    "not_found": "not_found",
    "exists": "conflict",
    "invalid": "validation",
    "slow_down": "rate_limited",
    "unavailable": "unavailable",
}


def verdict(error: BaseException) -> str | None:
    """The class of an error of the client; None for any other error."""
    return BY_CODE.get(getattr(error, "code", ""))
