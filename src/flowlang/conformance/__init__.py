"""The conformance kit: what every connection plugin proves, as checks over a plugin class and a config.

check      one async function over a `Subject`; raises `Failed`, `Absent` (waived) or `Unproven` (skipped)
group      a module of checks: static, config, lifecycle, concurrency, operations, errors, secrets, scaffold
tier       `contract`: what a plugin written by the guide passes whole; `quality`: what is scored
faces      `check_plugin(…) -> Report`, and the class `PluginConformance` for pytest (see `flowlang.testing`)
"""
