"""The ordered sections of the site."""
