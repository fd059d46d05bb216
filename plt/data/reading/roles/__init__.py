"""Which column of a raw file is what: names, kinds of values, and the plan made of both."""
