"""Loads the fixtures that every test of the repository may use; commands that tests start speak English."""

import os
import sys

os.environ["LANGUAGE"] = "en"  # Wins over LC_ALL, LC_MESSAGES and LANG, for gettext alone.

# Containers often set this variable. Without compiled modules each of the hundreds of processes that tests start
# compiles the application again (half a second), and each worker of pytest-xdist all tests (13 seconds).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = [
    "familycorp_ops.testing.checklist",
    "familycorp_ops.testing.servers",
    "familycorp_ops.testing.plans",
    "familycorp_ops.testing.browser",
]
