"""`flowlang …` that tells what it holds: on SIGUSR1 it collects its garbage and adds a line of JSON to a file.

python soaked.py FILE worker --store …      (or: show that many of its types, with SOAK_TYPES=20)
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any


def held() -> dict[str, Any]:
    """Blocks of memory that Python handed out, bytes that the system gave, descriptors, threads, tasks."""
    if sys.version_info < (3, 13):
        sys._clear_type_cache()  # it keeps up to 4,096 names that were looked up on a class, each by its address
    gc.collect()
    told: dict[str, Any] = {
        "blocks": sys.getallocatedblocks(),
        "bytes": int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": sum(not each.name.startswith("asyncio_") for each in threading.enumerate()),
        "tasks": len(asyncio.all_tasks()),
        "cpu": time.process_time(),
    }
    if most := int(os.environ.get("SOAK_TYPES", 0)):
        told["types"] = dict(Counter(type(each).__name__ for each in gc.get_objects()).most_common(most))
    return told


def tell(number: int, frame: object) -> None:
    del number, frame
    text = json.dumps(held()) + "\n"
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    from flowlang.cli.app import serve

    signal.signal(signal.SIGUSR1, tell)
    sys.exit(serve(sys.argv[2:]))
