"""The peak memory of this process."""

import sys
from pathlib import Path


def peak_memory() -> int:
    """Bytes. Not `ru_maxrss` where Linux can tell: that begins with what the process had that started it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    line = next(each for each in status.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
