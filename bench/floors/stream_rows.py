"""Runs a flow that streams a table, and prints the batches seen and the peak memory of the process in bytes."""

import sys

from memory import peak_memory

import flowlang


def main() -> None:
    flow, database = sys.argv[1:]
    result = flowlang.run_sync(flowlang.load(flow), {"database": database})
    if result.status != "succeeded":
        raise SystemExit(f"the flow ended as {result.status}: {result.failure}")
    print(result.outputs["batches"], peak_memory())


if __name__ == "__main__":
    main()
