"""Rows of a planned raw file as judgements: contexts, answers, people, labels and rankings."""
