"""Linear algebra under the heads: forms of a Newton step."""
