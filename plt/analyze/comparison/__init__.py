"""Runs side by side, win rates, lengths."""
