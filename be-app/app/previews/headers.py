"""The header of previews."""

HEADER = "X-Preview-Token"
"""Carries a link's token, which stands in no address that the API gets: access logs have addresses."""
