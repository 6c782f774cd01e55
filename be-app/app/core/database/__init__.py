"""The relational database: engine and sessions, column types, MySQL connections."""
