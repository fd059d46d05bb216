"""A report as sections: verdicts in words, pictures, tables, and what to do next."""
