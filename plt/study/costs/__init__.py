"""What a run costs elsewhere, and how much of a person's taste stays in a budget."""
