"""Runs that survive the process they run in.

    flow ─ submitted ─► store ─ claimed ─► run ─ do(path, op, kwargs) ─► journal ─ committed ─► store

The same engine as in memory; what differs is one fiber (`fiber.py`), which looks each operation up in the run's
journal before it does it, and writes down what came of it. The store is a SQLite file or a PostgreSQL database; all
that is known of runs, flows, signals and schedules is in its tables (`schema.py`).
"""
