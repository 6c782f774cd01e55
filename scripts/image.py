"""Builds the images of the functions, `functions` and `http`, with Docker, podman or buildah: `make image`.

usage: image.py [--arch x86_64|arm64] [--bases pinned|local] [--twice|--for-sam image|zip] [--write]

It writes build/image-functions.tar and build/image-http.tar (OCI archives), prints sizes by layer and digests, and
fails beyond the bounds. With `--twice` it builds again without any cache, and fails if the digest differs. With
`--for-sam` and stand-ins it writes no archive, but makes what `sam build` and `sam local` would get from registries.
`--write` writes the sizes into docs/reference/performance.md, too.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from familycorp_ops.docs.sizes import DOCUMENT
from familycorp_ops.local import base_images
from familycorp_ops.markdown import with_part
from familycorp_ops.servers import containers
from familycorp_ops.servers.process import NotInstalledError

ROOT = Path(__file__).parents[1]
TARGETS = ("functions", "http")
PINS = ROOT / "be-app" / "base-images.env"
ARCHIVE_MB, UNPACKED_MB = 110, 270
"""Bounds of each image: its compressed archive, and its files."""
CA = Path("/etc/ssl/certs/ca-certificates.crt")


def pinned() -> Mapping[str, str]:
    """Return what base-images.env says, by name; leave where it isn't there."""
    if not PINS.exists():
        sys.exit(
            "No base images are pinned: run `make base-images` once where registries can be reached, check "
            "be-app/base-images.env, and commit it. Without registries, `make image BASES=local` uses stand-ins."
        )
    return dict(re.findall(r"^(\w+)_DIGEST=(sha256:[0-9a-f]{64})$", PINS.read_text(), re.MULTILINE))


def archive(target: str) -> Path:
    """Return where an image goes."""
    return ROOT / "build" / f"image-{target}.tar"


def docker(target: str, to: Path, arch: str, bases: Mapping[str, str], *, cold: bool) -> None:
    """Build an image with a BuildKit of the pinned version in a container: Docker's own writes no OCI archive."""
    kit = pinned()["BUILDKIT"]
    name = f"familycorp-{kit.removeprefix('sha256:')[:12]}"  # A new pin makes a new builder.
    inspect = ["docker", "buildx", "inspect", name]
    if subprocess.run(inspect, capture_output=True, check=False).returncode:
        create = ["docker", "buildx", "create", "--name", name, "--driver", "docker-container"]
        run([*create, "--driver-opt", f"image=docker.io/moby/buildkit@{kit}"], os.environ)
    command = ["docker", "buildx", "build", "--builder", name, "--provenance=false"]
    command += ["--no-cache"] if cold else []
    command += ["--build-arg", "SOURCE_DATE_EPOCH=0"]
    command += ["--output", f"type=oci,dest={to},rewrite-timestamp=true"]
    run([*command, *_what(target, arch, bases), str(ROOT)], os.environ)


def buildah(
    program: str,
    target: str,
    arch: str,
    bases: Mapping[str, str],
    *,
    local: bool,
    cold: bool = False,
    form: str = "oci",
) -> str:
    """Build an image with buildah or podman, whose options are the same; return its id in the project's store.

    Its name there may be another build's a moment later.
    """
    command = [program, "build", "--timestamp", "0", "--isolation", "chroot", "--network", "host"]
    # Layer by layer in either case: else a stage would be one layer.
    command += ["--format", form, "--layers", *(["--no-cache"] if cold else [])]
    command += ["--pull-never", "--label", "familycorp.bases=local"] if local else []
    with tempfile.TemporaryDirectory() as directory:
        if local and CA.exists():
            # Where registries are out of reach, a mirror of PyPI with a certificate of this machine's own may not be.
            trust = Path(directory, "uv.toml")
            trust.write_text("system-certs = true\n")
            command += ["--volume", f"{CA}:{CA}:ro", "--volume", f"{trust}:/etc/uv/uv.toml:ro"]
        made = Path(directory, "id")
        command += ["--tag", f"familycorp-{target}", "--iidfile", str(made)]
        run([*command, *_what(target, arch, bases), str(ROOT)], containers.environment())
        return made.read_text().removeprefix("sha256:")


def export(program: str, image: str, to: Path) -> None:
    """Write an image of the project's store as an OCI archive."""
    with tempfile.TemporaryDirectory() as directory:
        layout = Path(directory, "layout")
        run([program, "push", "--quiet", image, f"oci:{layout}"], containers.environment())
        _without_annotations(layout)
        with tarfile.open(to, "w") as archived:
            for part in sorted(layout.iterdir()):
                archived.add(part, part.name)


def _without_annotations(layout: Path) -> None:
    """Take out of an image what buildah notes of the stages below, whose ids differ from time to time."""
    index = json.loads((layout / "index.json").read_text())
    (entry,) = index["manifests"]
    blobs = layout / "blobs" / "sha256"
    manifest = _taken(blobs, entry)
    manifest.pop("annotations", None)
    configuration = _taken(blobs, manifest["config"])
    for step in configuration.get("history", ()):
        step.pop("comment", None)
    _put(blobs, manifest["config"], configuration)
    _put(blobs, entry, manifest)
    (layout / "index.json").write_text(json.dumps(index))


def _taken(blobs: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of an image, and remove its file."""
    file = blobs / entry["digest"].removeprefix("sha256:")
    document: dict[str, Any] = json.loads(file.read_text())
    file.unlink()
    return document


def _put(blobs: Path, entry: dict[str, Any], document: Mapping[str, Any]) -> None:
    """Write a document of an image, and name it by its digest where it is listed."""
    text = json.dumps(document, separators=(",", ":")).encode()
    digest = hashlib.sha256(text).hexdigest()
    (blobs / digest).write_bytes(text)
    entry |= {"digest": f"sha256:{digest}", "size": len(text)}


def _what(target: str, arch: str, bases: Mapping[str, str]) -> Sequence[str]:
    platform = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}[arch]
    arguments = [option for name, base in bases.items() for option in ("--build-arg", f"{name}={base}")]
    return [
        "--platform",
        platform,
        "--target",
        target,
        *arguments,
        "--file",
        str(ROOT / "be-app" / "Dockerfile"),
    ]


def run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command, showing it; leave if it fails."""
    print("+", *command, file=sys.stderr, flush=True)
    if (ran := subprocess.run(command, env=environment, stdout=sys.stderr, check=False)).returncode:
        sys.exit(ran.returncode)


class Image:
    """An OCI archive of one image (OCI image layout)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with tarfile.open(file) as opened:
            self._archive = opened
            (index,) = json.load(self._member("index.json"))["manifests"]
            self.digest: str = index["digest"]
            manifest = json.load(self._blob(self.digest))
            self.configuration: dict[str, Any] = json.load(self._blob(manifest["config"]["digest"]))
            made = [step for step in self.configuration["history"] if not step.get("empty_layer")]
            self.layers = [
                (_step(step), layer["size"], self._unpacked(layer["digest"]))
                for step, layer in zip(made, manifest["layers"], strict=True)
            ]

    def _member(self, name: str) -> IO[bytes]:
        found = self._archive.extractfile(name)
        assert found is not None  # noqa: S101 - it is a file.
        return found

    def _blob(self, digest: str) -> IO[bytes]:
        return self._member(f"blobs/{digest.replace(':', '/')}")

    def _unpacked(self, digest: str) -> int:
        with gzip.open(self._blob(digest)) as layer, tarfile.open(fileobj=layer, mode="r|") as files:
            return sum(entry.size for entry in files)

    def report(self) -> Sequence[str]:
        """Return sizes by layer, in MB, compressed and unpacked."""
        lines = [f"{size / 1e6:7.1f} {unpacked / 1e6:7.1f}  {step}" for step, size, unpacked in self.layers]
        return [
            *lines,
            f"{self.archive_mb:7.1f} {self.unpacked_mb:7.1f}  in all (bounds: {ARCHIVE_MB}, {UNPACKED_MB})",
        ]

    def table(self, bases: str) -> str:
        """Return sizes by layer in Markdown, with their bounds."""
        lines = [f"| layer of `http`, {bases} | MB | unpacked |", "|---|---:|---:|"]
        lines += [
            f"| `{step}` | {size / 1e6:.1f} | {unpacked / 1e6:.1f} |" for step, size, unpacked in self.layers
        ]
        bounds = f"| bound | {ARCHIVE_MB} | {UNPACKED_MB} |"
        return "\n".join([*lines, f"| in all | {self.archive_mb:.1f} | {self.unpacked_mb:.1f} |", bounds])

    @property
    def archive_mb(self) -> float:
        """Megabytes that a registry holds."""
        return self.file.stat().st_size / 1e6

    @property
    def unpacked_mb(self) -> float:
        """Megabytes of its files."""
        return sum(unpacked for _, _, unpacked in self.layers) / 1e6


def _step(step: Mapping[str, str]) -> str:
    """Return an instruction of the Dockerfile without its checksum."""
    said = re.sub(r"^/bin/sh -c #\(nop\) ", "", step.get("created_by", ""))
    return re.sub(r"(?:multi:|file:|dir:)[0-9a-f]{64} ?", "", said).partition("# buildkit")[0].strip()[:60]


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description="Build the images of the functions.")
    parser.add_argument("--arch", choices=("x86_64", "arm64"), default="x86_64")
    parser.add_argument("--bases", choices=("pinned", "local"), default="pinned")
    parser.add_argument("--twice", action="store_true", help="build again without a cache, and compare")
    parser.add_argument(
        "--write", action="store_true", help="write the sizes into docs/reference/performance.md"
    )
    parser.add_argument("--for-sam", choices=("image", "zip"), help="make what SAM needs of stand-ins")
    chosen = parser.parse_args()
    local = chosen.bases == "local"
    pins = {} if local else pinned()
    try:
        program = containers.builder(local=local)
        bases = (
            base_images.build(program)
            if local
            else {name: f"{tag.rpartition(':')[0]}@{pins[name]}" for name, tag in base_images.names().items()}
        )
    except NotInstalledError as error:
        sys.exit(str(error))

    if chosen.for_sam == "zip":
        base_images.build_runtime(program)
        return
    if chosen.for_sam:
        # SAM's builds can't mount what they need to reach PyPI through a mirror, and find these layers in the cache:
        # podman's service makes images of Docker's format.
        for target in TARGETS:
            buildah(program, f"sam-{target}", chosen.arch, {}, local=local, form="docker")
        return

    def build(target: str, to: Path, *, cold: bool) -> Image:
        if program == "docker":
            docker(target, to, chosen.arch, bases, cold=cold)
        else:
            export(program, buildah(program, target, chosen.arch, bases, local=local, cold=cold), to)
        return Image(to)

    (ROOT / "build").mkdir(exist_ok=True)
    failures = []
    for target in TARGETS:
        image = build(target, archive(target), cold=False)
        print(f"{archive(target).relative_to(ROOT)} {image.digest}")
        print("\n".join(["     MB  unpacked", *image.report()]), flush=True)
        if image.archive_mb > ARCHIVE_MB or image.unpacked_mb > UNPACKED_MB:
            failures.append(f"{target} is larger than its bounds")
    if chosen.write:
        # The last image has all layers of the first.
        table = image.table("stand-ins for bases" if local else "pinned bases")
        DOCUMENT.write_text(with_part(DOCUMENT, "image", table), "utf-8")
    if chosen.twice:
        with tempfile.TemporaryDirectory() as directory:
            again = build(target, Path(directory, "again.tar"), cold=True)
        print(f"built again: {again.digest}")
        if again.digest != image.digest:
            failures.append(f"{target} is another one when it is built again")
    if failures:
        sys.exit("; ".join(failures))


if __name__ == "__main__":
    main()
