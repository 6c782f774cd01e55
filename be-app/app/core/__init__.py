"""Shared by every domain; nothing here knows a domain."""
