"""The rules of the check, one per file: a rule's docstring is its page, its `CODE` the name of its finding."""
