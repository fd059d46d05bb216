"""Many users on one backbone."""
