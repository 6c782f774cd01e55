"""The account of whoever calls: logging in, second factors, sessions."""
