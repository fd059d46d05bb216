"""What simulated populations are made of: topics, styles, rewards, shapes."""
