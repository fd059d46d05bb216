"""One file per method, or per close family."""
