"""Documents that hold a part which a program writes, or commands that a program runs."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def with_part(document: Path, name: str, part: str) -> str:
    """Return a document's text with one part replaced; raise what `with_parts` raises."""
    return with_parts(document, **{name: part})


def with_parts(document: Path, **parts: str) -> str:
    """Return a document's text with what stands between `<!-- name -->` and `<!-- /name -->` replaced, for each name.

    Raises `ValueError` where the document has no such part.
    """
    text = document.read_text("utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, mark, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not mark or not closed:
            raise ValueError(f"{document} has no part {begin.strip()} … {end}")
        text = f"{before}{begin}\n{part}\n\n{end}{after}"
    return text


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 1) -> str:
    """Return a table in Markdown whose last `numbers` columns are figures."""
    rule = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (header, rule, *rows))


def commands(document: Path, section: str) -> list[str]:
    """Return the commands that a section shows, in their order; raise `ValueError` where there is no such section."""
    _, found, rest = document.read_text("utf-8").partition(f"# {section}\n")
    if not found:
        raise ValueError(f"{document} has no section {section!r}")
    text = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    shown = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\$ (.+)$", "\n".join(shown), re.MULTILINE)
