"""What votes on shared pairs say."""
