"""Documents that hold a part which a program writes."""

from pathlib import Path


def with_part(document: Path, name: str, part: str) -> str:
    """Return a document's text with what stands between `<!-- name -->` and `<!-- /name -->` replaced.

    Raises `ValueError` where the document has no such part.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, mark, rest = document.read_text("utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not mark or not closed:
        raise ValueError(f"{document} has no part {begin.strip()} … {end}")
    return f"{before}{begin}\n{part}\n\n{end}{after}"
