"""Whether tastes differ where nobody shares a pair."""
