"""Logs, metrics and the correlation id that ties them together."""
