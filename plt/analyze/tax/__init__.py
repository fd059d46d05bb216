"""What a benchmark costs a person: items, sections, change against a base."""
