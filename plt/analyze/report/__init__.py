"""What a report adds to a comparison: its people, its table, published figures, gates, words."""
