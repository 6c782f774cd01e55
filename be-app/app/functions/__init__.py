"""Every entry point that AWS starts, one file each."""
