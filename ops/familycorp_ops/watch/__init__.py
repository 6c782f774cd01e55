"""What runs now: its log lines and its figures."""
