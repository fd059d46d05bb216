"""The texts that policies write."""
