"""Writes what is deployed, and what each dependency adds to it, into docs/performance.md; `--check` only compares.

usage: document_sizes.py [--check] BUILD    BUILD is what `sam build -t template.zip.yaml` made, as .aws-sam/build

`--check` fails where the whole exceeds its bounds, a dependency grew by a tenth, or a new one has a megabyte.
"""

import re
import sys
import tempfile
import zipfile
from pathlib import Path

from familycorp_ops.markdown import with_part

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
ZIP_MB, UNZIPPED_MB = 40, 120
GROWTH = 1.1
PARTS = ("DependenciesLayer", "PolicyLayer", "BackendFunction")
"""What one function consists of: two layers and its own archive."""


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
    """Return the bytes of the archives that make a function, and of what is in them."""
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
    if archives > ZIP_MB * 1e6:
        said.append(f"The archives have {archives / 1e6:.1f} MB, more than {ZIP_MB}.")
    if whole > UNZIPPED_MB * 1e6:
        said.append(f"Unpacked they have {whole / 1e6:.1f} MB, more than {UNZIPPED_MB}.")
    part = DOCUMENT.read_text().partition("<!-- sizes -->")[2].partition("<!-- /sizes -->")[0]
    before = {
        n: int(kb.replace(",", "")) * 1000
        for n, kb in re.findall(r"^\| ([\w ]+) \| ([\d,]+) \|$", part, re.MULTILINE)
    }
    for name, now in shares(build).items():
        if now > before.get(name, 1_000_000 / GROWTH) * GROWTH:
            said.append(f"{name} has {now // 1000:,} kB, and had {before.get(name, 0) // 1000:,}.")
    return said


def main() -> int:
    """Write the table, or tell what outgrew it."""
    build = Path(sys.argv[-1])
    if "--check" not in sys.argv:
        DOCUMENT.write_text(with_part(DOCUMENT, "sizes", table(build)))
        return 0
    for sentence in (said := grown(build)):
        print(sentence)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
