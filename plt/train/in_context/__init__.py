"""Rewards that read a person's past choices."""
