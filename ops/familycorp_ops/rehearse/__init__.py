"""A whole deployment on loopback: see `plan.py` for what it promises, step by step."""
