"""Authentication: identifying the caller."""
