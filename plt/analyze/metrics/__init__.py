"""One file per metric: a table in, a figure with its interval out."""
