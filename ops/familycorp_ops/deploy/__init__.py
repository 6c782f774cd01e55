"""Releases: bring an environment up, deploy to it, and check what runs there."""
