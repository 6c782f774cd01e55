"""Every HTTP request and response passes this: middleware, problem documents, schemas, preconditions."""
