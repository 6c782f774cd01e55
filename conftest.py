"""Loads the fixtures that every test of the repository may use."""

pytest_plugins = [
    "familycorp_ops.pytest_checklist",
    "familycorp_ops.pytest_servers",
    "familycorp_ops.pytest_browser",
]
