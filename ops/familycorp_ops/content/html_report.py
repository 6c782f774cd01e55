"""The report of an import as one HTML page without scripts or other files, for editors."""

from collections.abc import Iterable, Sequence
from gettext import gettext as _
from html import escape
from pathlib import Path

from familycorp_ops import messages
from familycorp_ops.content import differences
from familycorp_ops.content.importing import Summary
from familycorp_ops.content.notes import Note

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; word-break: keep-all; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { border: 1px solid #8888; padding: .25rem .5rem; text-align: left; vertical-align: top }
code, pre { font-family: ui-monospace, monospace; font-size: .875em; white-space: pre-wrap }
pre { border: 1px solid #8888; padding: 1rem }
del { color: #b00020 } ins { color: #00693e; text-decoration: none }
@media (prefers-color-scheme: dark) { del { color: #ff8a80 } ins { color: #7bdcb5 } }
summary { cursor: pointer; font-weight: 600 }
"""


def page(summary: Summary, directory: Path, problem: str | None) -> str:
    """Return the report."""
    title = _("Import of {directory}").format(directory=directory.name or directory)
    if summary.dry_run:
        title = _("{title} (dry run)").format(title=title)
    parts = [
        f"<h1>{escape(title)}</h1>",
        _paragraph(
            _("The site was made with {kind} ({by}).").format(kind=summary.kind, by=summary.recognised_by)
        ),
        _paragraph(problem) if problem else "",
        _taken(summary),
        _errors(summary),
        _section(_("Left out"), summary, "left_out"),
        _omitted(summary),
        _section(_("Changed"), summary, "changed"),
        _section(_("Keys without a counterpart"), summary, "no_counterpart"),
        _proposal(summary),
    ]
    return (
        f'<!doctype html>\n<html lang="{messages.chosen()}">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        + "\n".join(filter(None, parts))
        + "\n</html>\n"
    )


def _taken(summary: Summary) -> str:
    results = ("created", "changed", "unchanged", "failed")
    counts = _table([_("result"), _("number")], ([escape(_(r)), str(summary.count(r))] for r in results))
    rows = (
        [_code(o.file), escape(o.slug or ""), escape(_(o.result)), escape(", ".join(o.changes))]
        for o in summary.outcomes
        if o.result != "failed"
    )
    files = _table([_("file"), _("address"), _("result"), _("changes")], rows)
    return f"<h2>{escape(_('Taken'))}</h2>{counts}{_folded(_('All files'), files)}"


def _errors(summary: Summary) -> str:
    if not summary.faults:
        return ""
    rows = (
        [_code(f"{file}:{fault.line}"), escape(fault.field or ""), escape(fault.message)]
        for file, fault in summary.faults
    )
    table = _table([_("place"), _("key"), _("reason")], rows)
    return f"<h2>{escape(_('Files with an error'))}</h2>{table}"


def _omitted(summary: Summary) -> str:
    if not summary.omitted:
        return ""
    rows = ([_code(omitted.file), escape(omitted.why)] for omitted in summary.omitted)
    return f"<h2>{escape(_('Files that are no posts'))}</h2>{_table([_('file'), _('reason')], rows)}"


def _section(title: str, summary: Summary, kind: str) -> str:
    found = differences.groups(summary, kind)
    if not found:
        return ""
    parts = [f"<h2>{escape(title)}</h2>"]
    for group in found:
        count = _("{subject}: {why} ({number} files)").format(
            subject=group.subject, why=group.why, number=group.files
        )
        table = _table([_("place"), _("before"), _("after")], map(_row, group.places))
        parts.append(_folded(count, table))
    return "".join(parts)


def _row(place: tuple[str, Note]) -> list[str]:
    file, note = place
    before = f"<del>{escape(note.before)}</del>" if note.before else ""
    after = f"<ins>{escape(note.after)}</ins>" if note.after else ""
    return [_code(f"{file}:{note.line}"), before, after]


def _proposal(summary: Summary) -> str:
    if not summary.proposal:
        return ""
    prose = _paragraph(
        _("A mapping file (--map) that settles what was left out; change it to what is meant:")
    )
    return f"<h2>{escape(_('Mapping file'))}</h2>{prose}<pre>{escape(summary.proposal.toml())}</pre>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
