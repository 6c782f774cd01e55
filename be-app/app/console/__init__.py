"""The console: the page in which editors and admins do their work."""
