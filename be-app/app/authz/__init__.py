"""Authorization: the actions that a caller may do."""
