"""Redirects in a file: CSV with an earlier path of the site and its target in each line."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from app.content import aliases, exporting
from app.content.importing import IMPORTER
from app.core.http.problems import ValidationFailed
from app.redirects import service
from app.redirects.errors import RedirectLoop
from app.redirects.schemas import ImportedRedirect, RedirectCreate
from familycorp_ops import messages
from familycorp_ops.content.yamltext import Fault
from familycorp_ops.environment import CommandError

if TYPE_CHECKING:
    from familycorp_ops.admin.operator import Operator

NAME = "redirects.csv"
"""Name of the file in a folder of content."""

_HEADING = ["path", "target"]
_TOGETHER = 100
"""How many redirects one call writes."""

_ASKED_TOGETHER = 500
"""How many redirects one call looks for."""

_REDIRECTS = TypeAdapter(list[RedirectCreate])
_OUTCOMES = TypeAdapter(list[ImportedRedirect])


def read(file: Path) -> tuple[dict[int, RedirectCreate], list[Fault]]:
    """Return the redirects of a file by their lines, and the lines that break a rule; raise `CommandError`."""
    wanted, faults = dict[int, RedirectCreate](), list[Fault]()
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            for row in reader:
                if not row or row == _HEADING:
                    continue
                if len(row) != len(_HEADING):
                    why = _("The line needs a path and a target.")
                    faults.append(Fault(reader.line_num, row[0], "columns", why))
                    continue
                try:
                    wanted[reader.line_num] = RedirectCreate(path=row[0], target=row[1])
                except ValidationError as error:
                    broken = ValidationFailed.of(error.errors(include_url=False, include_input=False))
                    why = broken.in_language(messages.chosen())
                    faults.append(Fault(reader.line_num, row[0], broken.code, why))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CommandError(
            _("{file} is no CSV in UTF-8: {reason}.").format(file=file, reason=error)
        ) from None
    return wanted, faults


def written(redirects: list[RedirectCreate]) -> bytes:
    """Return redirects as a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADING)
    writer.writerows([said["path"], said["target"]] for said in _REDIRECTS.dump_python(redirects))
    return text.getvalue().encode()


class Redirects:
    """The redirects of the database that the settings name, or of an environment in AWS.

    Args:
        operator: the environment's operator functions.
    """

    def __init__(self, operator: "Operator | None" = None) -> None:
        self._operator = operator

    async def there(self) -> list[RedirectCreate]:
        """Return all redirects in their order."""
        if self._operator is None:
            return await exporting.redirects()
        page = self._operator.read("content.redirects")
        return _REDIRECTS.validate_json(self._operator.take(page["object"]))

    async def lead(
        self, wanted: Mapping[int, RedirectCreate], progress: Callable[[int, int], None], *, dry_run: bool
    ) -> tuple[Counter[str], list[Fault]]:
        """Have paths lead to their targets; return the number of each result, and why lines failed.

        Args:
            wanted: redirects by their lines.
            progress: receives how many of how many are done.
            dry_run: whether to find out what would change, and to change nothing.
        """
        led = await self._led(
            {path for redirect in wanted.values() for path in (redirect.path, redirect.target)}
        )
        results, faults, changing = Counter[str](), list[Fault](), list[int]()
        for line, redirect in wanted.items():
            known = led.get(redirect.path)
            if known == led.get(redirect.target, redirect.target):
                results["unchanged"] += 1
            elif not dry_run:
                changing.append(line)
            elif redirect.path in {redirect.target, led.get(redirect.target)}:
                faults.append(
                    Fault(line, redirect.path, "redirect", RedirectLoop().in_language(messages.chosen()))
                )
            else:
                results["created" if known is None else "changed"] += 1
        for start in range(0, len(changing), _TOGETHER):
            part = changing[start : start + _TOGETHER]
            for line, outcome in zip(part, await self._put([wanted[line] for line in part]), strict=True):
                if outcome.result == "failed":
                    faults.append(Fault(line, wanted[line].path, "redirect", outcome.message or ""))
                else:
                    results[outcome.result] += 1
            progress(start + len(part), len(changing))
        return results, faults

    async def _led(self, paths: Collection[str]) -> dict[str, str]:
        found, listed = dict[str, str](), sorted(paths)
        for start in range(0, len(listed), _ASKED_TOGETHER):
            part = listed[start : start + _ASKED_TOGETHER]
            if self._operator is None:
                found |= await aliases.targets_of(part)
            else:
                found |= self._operator.write("content.redirect-targets", paths=part)
        return found

    async def _put(self, redirects: list[RedirectCreate]) -> list[ImportedRedirect]:
        if self._operator is None:
            return await service.imported(redirects, IMPORTER, messages.chosen())
        items = _REDIRECTS.dump_python(redirects)
        outcomes = self._operator.write("redirects.import", items=items, language=messages.chosen())
        return _OUTCOMES.validate_python(outcomes)
