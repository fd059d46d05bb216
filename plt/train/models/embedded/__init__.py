"""Models that need no network: what there is (`cards`), and how each comes to be."""
