"""A method at work: fit, score, reload, export."""
