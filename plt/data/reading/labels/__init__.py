"""Labels of raw files: what their words and numbers mean."""
