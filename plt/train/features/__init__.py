"""What a model says of a text, computed once and kept."""
