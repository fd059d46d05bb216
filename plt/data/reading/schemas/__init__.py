"""Public schemas that a raw file may have, one file each."""
