"""Sources of visitors' answers: the public cache in Valkey, the read model in DynamoDB."""
