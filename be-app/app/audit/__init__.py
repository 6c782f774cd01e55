"""The audit trail: changes with their actors and times."""
