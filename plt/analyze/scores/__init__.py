"""One file a metric of a scores table."""
