"""Pictures: re-encoded in a process of their own, named by their content, and shown in pages."""
