"""Pytest fixtures: a working copy of `terraform/`, and its plans, each made once in a run of the tests.

A plan takes up to 20 seconds of a processor and several test files read the same one, so the workers of
pytest-xdist keep plans in a directory that they share, by the options of each plan.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from familycorp_ops.deploy.infra import BOOTSTRAP, Terraform
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing


def once(file: Path, make: Callable[[], str]) -> str:
    """Return the text of a file; the first process that needs the file makes it, and others wait for it."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            text = make()  # Where this fails, the next process tries again.
            file.write_text(text, encoding="utf-8")
    return file.read_text(encoding="utf-8")


class Plans(Terraform):
    """A working copy that nothing changes, so that equal options make equal plans.

    Args:
        directory: where the copy goes.
        endpoint: the emulator's address.
        shared: directory that all workers keep their plans in.
        configuration: which configuration of the copy is planned.
    """

    def __init__(self, directory: Path, endpoint: str, shared: Path, configuration: str = ".") -> None:
        super().__init__(directory, endpoint, configuration)
        self._shared, self._configuration = shared, configuration

    def plan(self, *options: str) -> dict[str, Any]:
        """Return a plan of the run, a copy of the caller's own."""
        name = hashlib.sha256(json.dumps((self._configuration, *options)).encode()).hexdigest()
        text = once(self._shared / f"{name}.json", lambda: json.dumps(super(Plans, self).plan(*options)))
        plan: dict[str, Any] = json.loads(text)
        return plan


@pytest.fixture(scope="session")
def shared_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all workers of a run have in common."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session")
def terraform(
    ministack: MiniStack, tmp_path_factory: pytest.TempPathFactory, shared_directory: Path
) -> Terraform:
    """A working copy of `terraform/` with an emulator: a test that changes its files makes a copy of its own."""
    try:
        return Plans(tmp_path_factory.mktemp("terraform"), ministack.url, shared_directory)
    except NotInstalledError as error:
        missing("terraform", error)


@pytest.fixture(scope="session")
def roles(
    ministack: MiniStack, tmp_path_factory: pytest.TempPathFactory, shared_directory: Path
) -> Terraform:
    """The same of `terraform/bootstrap`."""
    try:
        directory = tmp_path_factory.mktemp("bootstrap")
        return Plans(directory, ministack.url, shared_directory, BOOTSTRAP)
    except NotInstalledError as error:
        missing("terraform", error)
