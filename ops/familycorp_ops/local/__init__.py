"""The stack on one machine: its supervisor, its tables, its demonstration content."""
