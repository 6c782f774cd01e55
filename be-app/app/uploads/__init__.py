"""Files that posts refer to."""
