"""`familycorp sizes`: each dependency's share of the packages, compared with docs/reference/performance.md."""

import re
import sys
import tempfile
import zipfile
from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.markdown import with_part
from familycorp_ops.output import AsJson, show

DOCUMENT = ROOT / "docs" / "reference" / "performance.md"
ZIP_MB, UNZIPPED_MB = 40, 120
GROWTH = 1.1
PARTS = ("DependenciesLayer", "PolicyLayer", "BackendFunction")
"""Packages of one function: two layers and its own archive."""


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a directory."""
    return (
        path.stat().st_size
        if path.is_file()
        else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    )


def zipped(directory: Path) -> int:
    """Return the bytes of the archive that SAM would upload of a directory."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(p for p in directory.rglob("*") if p.is_file()):
                archive.write(path, path.relative_to(directory))
        return file.tell()


def shares(build: Path) -> dict[str, int]:
    """Return the bytes of each package of the dependencies, the largest first; small ones count together."""
    found: dict[str, int] = {}
    for path in (build / "DependenciesLayer" / "python").iterdir():
        name = re.split(r"[.-]", path.name)[0]
        name = {"_cffi_backend": "cffi", "_libvips": "pyvips", "pyvips_binary": "pyvips"}.get(name, name)
        found[name] = found.get(name, 0) + size(path)
    large = {n: b for n, b in found.items() if b >= 100_000}
    rest = sum(found.values()) - sum(large.values())
    return dict(sorted(large.items(), key=lambda pair: -pair[1])) | {"all others": rest}


def totals(build: Path) -> tuple[int, int]:
    """Return the sizes of a function's archives, and of their content."""
    return sum(zipped(build / p) for p in PARTS), sum(size(build / p) for p in PARTS)


def table(build: Path) -> str:
    """Return the table in Markdown."""
    archives, whole = totals(build)
    lines = ["| | MB | bound |", "|---|---:|---:|"]
    lines += [f"| archives of one function | {archives / 1e6:.1f} | {ZIP_MB} |"]
    lines += [
        f"| the same, unpacked | {whole / 1e6:.1f} | {UNZIPPED_MB} |",
        "",
        "| dependency | kB |",
        "|---|---:|",
    ]
    return "\n".join([*lines, *(f"| {n} | {b // 1000:,} |" for n, b in shares(build).items())])


def grown(build: Path) -> list[str]:
    """Return a sentence for each bound that is passed."""
    archives, whole = totals(build)
    said = []
    too_large = _("{what} has {size:.1f} MB, more than {bound}.")
    if archives > ZIP_MB * 1e6:
        said.append(too_large.format(what=_("The archive"), size=archives / 1e6, bound=ZIP_MB))
    if whole > UNZIPPED_MB * 1e6:
        said.append(too_large.format(what=_("The unpacked archive"), size=whole / 1e6, bound=UNZIPPED_MB))
    part = DOCUMENT.read_text().partition("<!-- sizes -->")[2].partition("<!-- /sizes -->")[0]
    rows = re.findall(r"^\| ([\w ]+) \| ([\d,]+) \|$", part, re.MULTILINE)
    kb_before = {name: int(kb.replace(",", "")) for name, kb in rows}
    larger = _("{name} has {now:,} kB, and had {before:,}.")
    for name, size_now in shares(build).items():
        if size_now > kb_before.get(name, 1_000 / GROWTH) * 1000 * GROWTH:
            before = kb_before.get(name, 0)
            said.append(larger.format(name=name, now=size_now // 1000, before=before))
    return said


def sizes(
    build: Annotated[
        Path, typer.Argument(help="Directory that `sam build -t template.zip.yaml` made.", exists=True)
    ],
    write: Annotated[
        bool, typer.Option("--write", help="Write the sizes into docs/reference/performance.md instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fail where the packages exceed their limits, or a dependency grew since the last measurement."""
    if not all((build / part).is_dir() for part in PARTS):
        sys.exit(
            _("{directory} holds no build: `sam build -t template.zip.yaml` makes one.").format(
                directory=build
            )
        )
    if write:
        DOCUMENT.write_text(with_part(DOCUMENT, "sizes", table(build)), "utf-8")
        show({"written": DOCUMENT.name}, _("Wrote {file}.").format(file=DOCUMENT), as_json=as_json)
        return
    archives, whole = totals(build)
    said = grown(build)
    fine = _("The archives have {archives:.1f} MB, unpacked {whole:.1f} MB: within bounds.")
    text = "\n".join(said) or fine.format(archives=archives / 1e6, whole=whole / 1e6)
    show({"archives": archives, "unpacked": whole, "exceeded": said}, text, as_json=as_json)
    sys.exit(1 if said else 0)
