"""The data of an environment: members, files, schema, authorisation policy."""
