"""Anybody's files to judgements."""
