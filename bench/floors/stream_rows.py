"""Runs a flow that streams a table, and prints the rows seen and the peak memory of the process in bytes."""

import resource
import sys

import flowlang


def main() -> None:
    flow, database = sys.argv[1:]
    result = flowlang.run_sync(flowlang.load(flow), {"database": database})
    if result.status != "succeeded":
        raise SystemExit(f"the flow ended as {result.status}: {result.failure}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    print(result.outputs["batches"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


if __name__ == "__main__":
    main()
