"""Clients of AWS services, DynamoDB's errors and types, IAM authentication tokens."""
