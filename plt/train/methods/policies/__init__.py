"""Language models that answer, for everybody or for each user."""
