"""The boundary of the process: whatever happens becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from flowlang.cli.commands import WIDEST, root
from flowlang.cli.output import err, failed, hush, prepare, told
from flowlang.exceptions import StoreError

DEFECT = 70  # EX_SOFTWARE of sysexits.h


def serve(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    prepare()
    try:
        code = root.main(args, prog_name="flowlang", standalone_mode=False, terminal_width=_width())
        return _flushed(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        err("interrupted")
        return 130
    except SystemExit as leaving:
        if "_FLOWLANG_COMPLETE" in os.environ:
            return int(leaving.code or 0)
        hush()  # click's way to say that nobody reads its help
        return 0
    except (OSError, StoreError) as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001 - the last boundary: a defect of ours is told, not thrown at people
        return _defect(error)


def _width() -> int:
    """The columns of a help: what click takes, found without `shutil`, which brings the formats of archives along."""
    try:
        columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(sys.stdout.fileno()).columns
    except (AttributeError, ValueError, OSError):
        columns = 80
    return max(min(columns or 80, WIDEST) - 2, 50)


def _flushed(code: int) -> int:
    """`code`, once everything that was written has really left."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        hush()
    except (OSError, ValueError, AttributeError) as error:
        if sys.stdout is not None:
            hush()
            err(f"error: cannot write the output: {told(error)}")
            return code or 1
    return code


def _show(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        err(error.format_message())
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        err(error.ctx.get_usage())
        err(f"Try `{error.ctx.command_path} --help`.")
        err("")
    err(f"error: {error.format_message()}")


def _defect(error: Exception) -> int:
    if os.environ.get("FLOWLANG_TRACEBACK"):
        raise error
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    err(f"error[internal]: {type(error).__name__} at {place}")
    err("  = note: this is a defect of FlowLang; please report it with what you did")
    err("  = help: set FLOWLANG_TRACEBACK=1 to see where it comes from (it may show values of your flow)")
    return DEFECT
