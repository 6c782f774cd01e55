"""What every domain builds on; nothing here knows a domain."""
