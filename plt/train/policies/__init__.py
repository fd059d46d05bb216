"""Language models trained on preferences."""
