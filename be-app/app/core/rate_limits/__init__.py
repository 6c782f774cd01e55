"""Rate limits: GCRA in Valkey, fixed windows in DynamoDB where Valkey can't be reached."""
