"""What the adaptation to new people is measured beside."""
