"""A language model: found, loaded, read."""
