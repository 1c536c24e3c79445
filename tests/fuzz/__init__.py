"""Coverage-guided fuzzing with atheris: `make fuzz SECONDS=60`. The suite itself fuzzes with hypothesis."""
