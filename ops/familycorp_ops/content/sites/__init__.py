"""Sites of other generators: what their files say, as posts of this service."""
