"""What every HTTP request and response passes: middleware, problem documents, schemas, preconditions."""
