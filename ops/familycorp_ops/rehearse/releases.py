"""The releases of a rehearsal: images, as they are deployed by default, or archives."""

import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from familycorp_ops.deploy import infra, release
from familycorp_ops.rehearse import sandbox
from familycorp_ops.servers import containers

NOWHERE: Final = f"sha256:{'0' * 64}"
"""Digest of an image that no registry has."""


class Releases(ABC):
    """What is deployed, by the name of the release.

    Args:
        directory: where builds go.
        run: runs a program: name of its log, its words, its working directory, and more variables.
    """

    sources: tuple[str, ...] = ("be-app", "scripts", "pyproject.toml", "uv.lock", "ops/pyproject.toml")
    """What a release is built from."""

    def __init__(self, directory: Path, run: Callable[..., str]) -> None:
        self._directory, self._run = directory, run

    @abstractmethod
    def check(self) -> None:
        """Raise `NotInstalledError` where this machine can't run them."""

    @abstractmethod
    def build(self, source: Path, name: str) -> None:
        """Build a release of some source."""

    @abstractmethod
    def options(self, name: str) -> Sequence[str]:
        """Return the options with which `release deploy` deploys it."""

    @abstractmethod
    def impossible(self, name: str) -> Sequence[str]:
        """Return options of a release that can't be deployed, made of another one."""


class Images(Releases):
    """Two images, known by their digests; stand-ins take the place of their bases unless BASES says otherwise."""

    def __init__(self, directory: Path, run: Callable[..., str]) -> None:
        super().__init__(directory, run)
        self._builds: dict[str, Path] = {}

    def check(self) -> None:
        """Raise `NotInstalledError` where nothing builds or runs images."""
        containers.builder(local=True)
        containers.podman()

    def build(self, source: Path, name: str) -> None:
        """Build both images as `make image` does."""
        bases = os.environ.get("BASES") or "local"
        self._run(f"build-{name}", [sys.executable, "scripts/image.py", "--bases", bases], source)
        self._builds[name] = source / "build"

    def directory(self, name: str) -> Path:
        """Return where the images of a release are."""
        return self._builds[name]

    def options(self, name: str) -> Sequence[str]:
        """Return both digests."""
        http, functions = (
            release.digest_of(self._builds[name] / release.archive(target))
            for target in ("http", "functions")
        )
        return ("--digest", http, "--functions-digest", functions)

    def impossible(self, name: str) -> Sequence[str]:
        """Return an image that is in the registry, and one that isn't."""
        return (*self.options(name)[:2], "--functions-digest", NOWHERE)


class Archives(Releases):
    """A directory that `sam build` made of the template of archives."""

    TEMPLATE: Final = "template.zip.yaml"
    sources = (*Releases.sources, TEMPLATE)

    def check(self) -> None:
        """Raise `NotInstalledError` where functions can't be isolated."""
        sandbox.check()

    def build(self, source: Path, name: str) -> None:
        """Build the archives."""
        # A real Python of Lambda's version comes first: a shim of one doesn't run.
        first = (str(sandbox.python().parent), str(infra.ROOT / ".tools"), os.environ["PATH"])
        asked = ("release", "build", "--template", str(source / self.TEMPLATE), "--to", str(self._to(name)))
        command = [sys.executable, "-m", "familycorp_ops", *asked]
        self._run(f"build-{name}", command, infra.ROOT, PATH=os.pathsep.join(first))

    def _to(self, name: str) -> Path:
        return self._directory / f"release-{name}"

    def options(self, name: str) -> Sequence[str]:
        """Return the directory."""
        return ("--archives", str(self._to(name)))

    def impossible(self, name: str) -> Sequence[str]:
        """Return a copy whose template asks for an alias that is there already, once the functions were updated."""
        broken = self._to("impossible")
        shutil.copytree(self._to(name), broken)
        template = broken / "template.yaml"
        content: dict[str, Any] = yaml.safe_load(template.read_text())
        content["Resources"]["Impossible"] = {
            "Type": "AWS::Lambda::Alias",
            "DependsOn": "BackendFunction",
            "Properties": {
                "FunctionName": {"Ref": "BackendFunction"},
                "FunctionVersion": "1",
                "Name": "live",
            },
        }
        template.write_text(yaml.safe_dump(content, sort_keys=False))
        return ("--archives", str(broken))
