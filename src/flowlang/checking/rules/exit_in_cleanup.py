"""An `exit` stands in a clean-up.

`finally` and `on_cancel` run when the end of the run, or of the `try` around them, is decided already: an `exit` there
could only hide it. A clean-up may fail, with `raise`, and may leave steps out, with `if`.

```yaml wrong
flow: f
steps:
  - log: at work
finally:
  - exit: done
```

```yaml
flow: f
steps:
  - log: at work
  - exit: done
finally:
  - log: cleaned up
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model

CODE = code("exit-in-cleanup", __doc__ or "")


def check(step: model.ExitStep, cleaning: str) -> Iterator[Diagnostic]:
    """`cleaning`: the word for the clean-up that the step is part of, empty when it is part of none."""
    if not cleaning:
        return
    message = f"`exit` in `{cleaning}`: how the run ends is decided when this runs"
    yield Diagnostic(CODE, message, step.head, suggestion="leave steps out with `if`, or fail with `raise`")
