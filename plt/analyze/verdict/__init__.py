"""The one sentence that a person takes home from a table of judgements."""
