"""Texts of posts: Markdown, its cost, differences and searches; nothing here knows a table."""
