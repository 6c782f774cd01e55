"""The media library: what is there, where it is used, and replacement in place."""
