"""What is shown: results as tables and sentences."""
