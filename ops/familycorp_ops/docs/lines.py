"""`familycorp lines`: how many hand-written lines each area has; rendered files and prose are counted apart."""

import re
import subprocess
import sys
from collections import Counter
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Final

import typer

from familycorp_ops.markdown import table
from familycorp_ops.output import AsJson, show

ROOT: Final = Path(__file__).parents[3]
AREAS: Final = {
    "rendered": r".*\.(po|svg|lock)|docs/(openapi\.json|api\.md)|be-app/opa/build/.*|.*/(package-lock|actions)\.json",
    "prose": r".*\.md|LICENSE",
    "be-app/app": r"be-app/app/.*",
    "ops": r"ops/(?!tests/).*",
    "scripts": r"scripts/.*|\.ci/.*|(be-app/)?Makefile",
    "bench": r"bench/.*",
    "templates": r"template.*\.yaml|samconfig\.toml",
    "terraform": r"terraform/.*",
    "tests": r"(be-app|ops)/tests/.*|conftest\.py",
    "other": r".*",
}
"""Each area's files, by the first expression that fits the whole path."""

AIMED: Final = ("be-app/app", "ops", "scripts", "bench", "templates", "terraform")
"""The areas whose sum should fall; tests, documents and rendered files may grow."""

_RENDERED: Final = "^# Rendered from "
"""The first line of a rendered file of any other name."""


def _grep(revision: str | None, *options: str) -> list[str]:
    # Of a revision each line begins with its name and a colon.
    at = [revision] if revision else []
    ran = subprocess.run(
        ["git", "grep", "-I", *options, *at], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ran.returncode > 1:
        sys.exit(_("git can't count: {reason}").format(reason=ran.stderr.strip()))
    return [line.removeprefix(f"{revision}:") for line in ran.stdout.splitlines()]


def count(revision: str | None = None) -> dict[str, int]:
    """Return the lines of each area, of a git revision or of the working tree's tracked files."""
    rendered = set(_grep(revision, "-l", "-e", _RENDERED))
    found: Counter[str] = Counter()
    for line in _grep(revision, "-c", "-e", ""):
        file, _colon, lines = line.rpartition(":")
        area = next(name for name, files in AREAS.items() if re.fullmatch(files, file))
        found["rendered" if file in rendered else area] += int(lines)
    return {area: found[area] for area in AREAS} | {"hand-written": sum(found[area] for area in AIMED)}


def lines(
    since: Annotated[str | None, typer.Option(help="Git revision to compare with, as v0.1.0.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count the lines of each area; `hand-written` is the sum of application, tools and infrastructure."""
    if since is not None and since.startswith("-"):
        sys.exit(_("{base} is no revision.").format(base=since))
    now = count()
    if since is None:
        show(now, table((_("area"), _("lines")), now.items()), as_json=as_json)
        return
    before = count(since)
    rows = [(area, before[area], now[area], f"{now[area] - before[area]:+d}") for area in now]
    header = (_("area"), _("before"), _("after"), _("difference"))
    show({"before": before, "after": now}, table(header, rows, numbers=3), as_json=as_json)
