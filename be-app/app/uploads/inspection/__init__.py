"""The true type of an upload: its structure against the type that its name says, for every way to read it."""

from pathlib import Path

from app.uploads import children


def inspect(file: Path, content_type: str, most_pixels: int) -> None:
    """Inspect a file in a process of its own, from a worker thread; raise `Rejection` if it isn't of its type."""
    children.run(["-m", f"{__name__}.program", str(file), content_type, str(most_pixels)], file.parent)
