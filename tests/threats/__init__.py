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
    "8 hostile texts and every type of value through SQL": (
        "tests/sqlite/test_tasks.py",
        "tests/sqlite/test_values.py",
        "tests/postgres/test_tasks.py",
        "tests/postgres/test_values.py",
        "tests/mysql/test_tasks.py",
        "tests/mysql/test_values.py",
    ),
    "9 names, lists and several statements in SQL": (
        "tests/sqlite/test_sql_text.py",
        "tests/sqlite/test_tasks.py",
        "tests/postgres/test_tasks.py",
        "tests/mysql/test_tasks.py",
    ),
    "10 MySQL: percent signs, charsets and modes": ("tests/mysql/test_tasks.py", "tests/mysql/test_lifecycle.py"),
    "11 operators of MongoDB in data": ("tests/mongodb/test_operators.py", "tests/mongodb/test_values.py"),
    "12 line ends and prefixes in Redis, formulas in CSV": (
        "tests/redis/test_values.py",
        "tests/redis/test_tasks.py",
        "tests/tasks/test_files.py",
    ),
    "13 servers that are none, or mean ill": (
        "tests/faults/test_rogues.py",
        "tests/faults/test_links.py",
        "tests/mysql/test_lifecycle.py",
        "tests/http/test_errors.py",
        "tests/mongodb/test_faults.py",
    ),
    "14 fields of a connection: options of URLs, files, ATTACH, LOCAL INFILE": (
        "tests/connections/test_config.py",
        "tests/sqlite/test_lifecycle.py",
        "tests/postgres/test_sessions.py",
        "tests/mysql/test_lifecycle.py",
        "tests/redis/test_config.py",
        "tests/mongodb/test_faults.py",
    ),
    "15 addresses that lead inside": ("tests/http/test_addresses.py", "tests/http/test_redirects.py"),
    "16 a canary for each secret, wherever a run tells something": (
        "tests/runs/test_secrets.py",
        "tests/cli/test_secrets.py",
        "tests/engine/test_cached_steps.py",
        "tests/http/test_auth.py",
        "tests/telemetry/test_lines.py",
        "tests/telemetry/test_spans.py",
        "tests/telemetry/test_export.py",
    ),
    "17 short secrets: masked by where they come from": (
        "tests/threats/test_short_secrets.py",
        "tests/runs/test_secrets.py",
        "tests/cli/test_secrets.py",
        "tests/testing/test_recording.py",
    ),
    "18 secrets in errors of drivers, texts of configs and scaffolds": (
        "tests/cli/test_trials.py",
        "tests/connections/test_scaffold.py",
        "tests/faults/test_rogues.py",
    ),
    "30 more rows than memory holds": ("tests/threats/test_little_memory.py",),
    "31 servers that die and come back, between statements and inside of them": ("tests/faults/test_restarts.py",),
    "32 a reply lost after the write or the commit: unknown, and not done again": (
        "tests/faults/test_links.py",
        "tests/faults/test_commits.py",
    ),
    "33 half-open links: the limits fire, the system asks, and no end of a run waits for the server": (
        "tests/faults/test_links.py",
        "tests/faults/test_keepalive.py",
    ),
    "34 slow links, an end in each state of the handshake, certificates that do not hold": (
        "tests/faults/test_links.py",
        "tests/faults/test_tls.py",
        "tests/http/test_tls.py",
    ),
    "35 a pool of one with fifty branches": ("tests/faults/test_links.py",),
    "36 what a server refuses has its class, and says whether a retry may help": (
        "tests/faults/test_refusals.py",
        "tests/mongodb/test_faults.py",
        "tests/postgres/test_sessions.py",
        "tests/faults/test_passwords.py",
    ),
    "46 values through every service: the same, as its page says, or refused": (
        "tests/threats/test_values.py",
        "tests/sqlite/test_values.py",
        "tests/postgres/test_values.py",
        "tests/mysql/test_values.py",
        "tests/redis/test_values.py",
        "tests/mongodb/test_values.py",
    ),
    "47 thousands of operations, and nothing grows": ("tests/faults/test_soak.py",),
}
