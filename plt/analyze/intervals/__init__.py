"""The only source of intervals and tests."""
