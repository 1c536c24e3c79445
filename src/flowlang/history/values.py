"""Values that a store holds, as anybody may see them. What is damaged is left out, and told of."""

from __future__ import annotations

import json
from typing import Any

from flowlang.durable.codec import decode
from flowlang.durable.sealing import is_sealed
from flowlang.masking import MASK
from flowlang.tasks.tagged import Untaggable

Damages = list[str]
"""What cannot be read of a run, each with where it stands: `the outputs of `price``."""


def shown(text: str | None, what: str, damages: Damages) -> Any:
    """The value that `text` holds; None when it cannot be read, and then `damages` gets `what` it is."""
    if text is None:
        return None
    if is_sealed(text):
        return MASK
    try:
        return decode(text)
    except (ValueError, Untaggable, RecursionError):
        damages.append(what)
        return None


def shown_inputs(text: str, what: str, damages: Damages) -> Any:
    """The inputs of a call as the journal has them. Of statements, their text with `?` for each value."""
    try:
        return decode(text)
    except Untaggable:  # a value that was cut
        return json.loads(text)
    except (ValueError, RecursionError):
        damages.append(what)
        return None


__all__ = ["Damages", "shown", "shown_inputs"]
