"""What `dataset-stats` says of a table."""
