"""Runs a flow that moves rows from one database into another, and prints the peak memory of the process in bytes."""

import sys

from memory import peak_memory

import flowlang


def main() -> None:
    result = flowlang.run_sync(flowlang.load(text=sys.argv[1]))
    if result.status != "succeeded":
        raise SystemExit(f"the flow ended as {result.status}: {result.failure}")
    print(peak_memory())


if __name__ == "__main__":
    main()
