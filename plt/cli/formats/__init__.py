"""Blocks as files for others: pages, LaTeX, drawings. Whatever is shown is escaped here."""
