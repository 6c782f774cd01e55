"""Where addresses of a site that moved in lead now."""
