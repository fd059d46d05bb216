"""One reward for everybody."""
