"""What repeated judgements say, beside the votes of others on the same pairs."""
