"""The logger that tasks write to."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from flowlang.masking import WITHHELD, Masker


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Knows the run and the step, and masks what it writes; without a masker that is withheld."""

    def __init__(self, run_id: str, path: str, masker: Masker | None) -> None:
        super().__init__(logging.getLogger("flowlang.task"), {"run_id": run_id, "step": path})
        self._masker = masker

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if not self.isEnabledFor(level):
            return
        values: Any = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        try:
            text = str(msg) % values if args else str(msg)
        except (TypeError, ValueError, KeyError):
            text = f"{msg} {args}"  # a log line that does not fit its arguments is no reason to fail
        trace = _traceback(kwargs.pop("exc_info", None))
        told = f"{text}\n{trace}" if trace else text
        super().log(level, "%s", WITHHELD if self._masker is None else self._masker.text(told), **kwargs)


def _traceback(wanted: Any) -> str:
    """The text of the traceback that a log call asks for with `exc_info`, so that it can be masked."""
    import traceback

    error = wanted if isinstance(wanted, BaseException) else sys.exc_info()[1] if wanted else None
    return "".join(traceback.format_exception(error)).rstrip() if error is not None else ""
