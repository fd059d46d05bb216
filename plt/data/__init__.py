"""What is on disk: table contracts, sources, splits and runs. Imports polars and the stdlib."""
