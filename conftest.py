"""Loads the fixtures that every test of the repository may use; commands that tests start speak English."""

import inspect
import os
import sys

import httpx
import pytest

os.environ["LANGUAGE"] = "en"  # Wins over LC_ALL, LC_MESSAGES and LANG, for gettext alone.

# Containers often set this variable. Without compiled modules each of the hundreds of processes that tests start
# compiles the application again (half a second), and each worker of pytest-xdist all tests (13 seconds).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What `make test` was given isn't for what tests start.
for name in ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)

# A busy machine is no failure: where a test doesn't say how long it waits, httpx would wait for five seconds.
for _wait in ("connect", "read", "write", "pool"):
    setattr(inspect.signature(httpx.get).parameters["timeout"].default, _wait, 120.0)

pytest_plugins = [
    "familycorp_ops.testing.checklist",
    "familycorp_ops.testing.servers",
    "familycorp_ops.testing.plans",
    "familycorp_ops.testing.browser",
    "familycorp_ops.testing.front_end",
]

LONGEST = (
    "test_schemathesis",
    "test_uploads",
    "test_outbox",
    "test_chaos",
    "test_terraform_bootstrap",
    "test_up",
)
"""Files that take minutes; begun at the end, one would keep its worker busy while the other has nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)
