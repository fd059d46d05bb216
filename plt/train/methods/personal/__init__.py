"""A reward of their own for each user."""
