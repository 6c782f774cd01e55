"""The caller's account: logging in, second factors, sessions."""
