"""One file per dataset: raw files in their native schema to a preferences table."""
