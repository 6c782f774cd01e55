"""Generators of the parts of documents that are derived from code."""
