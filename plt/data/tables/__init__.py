"""The tables: schemas, reading and writing, hashes."""
