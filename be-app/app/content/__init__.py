"""Posts and categories in bulk, as `familycorp content` moves them in and out."""
