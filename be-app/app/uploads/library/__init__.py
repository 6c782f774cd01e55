"""The media library: uploads with their uses, descriptions, and replacement in place."""
