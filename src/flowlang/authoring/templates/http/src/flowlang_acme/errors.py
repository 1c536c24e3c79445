"""What the service's errors mean for a flow: whether a retry may help, and what `on_error` sees.

`flowlang explain rate_limited` and the like say what a class means. What is not here is judged by the status, as the
type `http` does it: 404 is `not_found`, 429 is `rate_limited` with its `Retry-After`, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowlang.connections.http.errors import RequestFailed, verdict

BY_CODE: Mapping[str, str] = {
    "quota_exceeded": "limit",  # a 403 that is not about rights
}


def judged(request: str, status: int, headers: Mapping[str, str], body: Any) -> RequestFailed | None:
    """The failure that a reply tells of; None leaves it to the status."""
    if not isinstance(body, dict) or body.get("error") not in BY_CODE:
        return None
    return RequestFailed(f"{request}: {body.get('message')}", BY_CODE[body["error"]])


__all__ = ["judged", "verdict"]
