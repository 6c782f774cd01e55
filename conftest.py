"""Loads the fixtures that every test of the repository may use; commands that tests start speak English."""

import os

os.environ["LANGUAGE"] = "en"  # Wins over LC_ALL, LC_MESSAGES and LANG, for gettext alone.

pytest_plugins = [
    "familycorp_ops.testing.checklist",
    "familycorp_ops.testing.servers",
    "familycorp_ops.testing.browser",
]
