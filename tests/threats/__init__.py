"""What the system must survive, class by class of attack or fault, over every route it can take.

Where a class has its tests beside the code that they prove, `PROOFS` names them; the rest is in this folder.
"""

PROOFS: dict[str, tuple[str, ...]] = {
    "1 any bytes, mutants of flows and of the YAML suite, a line of 1 MB": (
        "tests/document/test_fuzz.py",
        "tests/document/test_suite.py",
        "tests/threats/test_hostile_files.py",
        "tests/checking/test_robustness.py",
    ),
    "2 alias bombs, depth, a million keys, huge scalars": (
        "tests/document/test_yaml.py",
        "tests/threats/test_hostile_files.py",
    ),
    "3 tags, merge keys, duplicates, encodings, hidden and look-alike characters": (
        "tests/document/test_yaml.py",
        "tests/threats/test_hostile_files.py",
    ),
    "4 expressions: computed as Python would, or refused": (
        "tests/expressions/test_safety.py",
        "tests/expressions/test_values.py",
        "tests/threats/test_expressions.py",
    ),
    "5 a corpus of escapes": ("tests/expressions/test_safety.py",),
    "6 no second pass over text that is data": ("tests/threats/test_no_second_pass.py",),
    "7 cost: a budget, and the same error each time": ("tests/expressions/test_safety.py",),
    "13 servers that are none, or mean ill": (
        "tests/faults/test_rogues.py",
        "tests/faults/test_links.py",
        "tests/mysql/test_lifecycle.py",
        "tests/http/test_errors.py",
        "tests/mongodb/test_faults.py",
    ),
    "17 short secrets: masked by where they come from": (
        "tests/threats/test_short_secrets.py",
        "tests/runs/test_secrets.py",
        "tests/cli/test_secrets.py",
        "tests/testing/test_recording.py",
    ),
    "31 servers that die and come back, between statements and inside of them": ("tests/faults/test_restarts.py",),
    "32 a reply lost after the write: unknown, and not done again": ("tests/faults/test_links.py",),
    "33 half-open links: the limits fire, and no end of a run waits for the server": ("tests/faults/test_links.py",),
    "34 slow links, and an end in each state of the handshake": ("tests/faults/test_links.py",),
    "35 a pool of one with fifty branches": ("tests/faults/test_links.py",),
    "36 what a server refuses has its class, and says whether a retry may help": (
        "tests/faults/test_refusals.py",
        "tests/mongodb/test_faults.py",
        "tests/postgres/test_sessions.py",
    ),
}
