"""A flow with every default written out, as YAML that means the same: what `flowlang explain FILE` shows."""
