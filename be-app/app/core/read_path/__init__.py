"""What visitors are served from: the public cache in Valkey, the read model in DynamoDB."""
