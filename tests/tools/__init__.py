"""Programs and data that the tests use and pip does not bring: how they are installed, and where they are."""
