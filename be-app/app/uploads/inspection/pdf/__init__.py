"""PDF: what any reader could find in the file, not what one reader's path through it finds.

Readers differ in where they look: the first or the last of two equal keys, the table of references or a search for
`obj` when that table is damaged. So every object is inspected, those in object streams and unreachable ones too, and
strings and the data of streams are taken for objects only where a reader would do so as well. ISO 32000-2 is the
source of the syntax; section numbers in these modules are its own.
"""

import re
from typing import Any

from app.uploads.inspection.pdf import triggers
from app.uploads.inspection.pdf.actions import Actions
from app.uploads.inspection.pdf.document import Document
from app.uploads.inspection.pdf.references import References
from app.uploads.inspection.pdf.syntax import WHITE
from app.uploads.reasons import Rejection

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[" + WHITE + rb"]{0,64}%PDF-[12]\.")

_PRECEDENCE = ("type_mismatch", "encrypted", "active_content", "polyglot", "too_complex", "malformed")


def check(data: Any) -> None:
    """Check a PDF, given as bytes or a memory map; raise `Rejection`."""
    actions = Actions()
    try:
        _read(Document(data, actions), actions)
    except Rejection as rejection:
        actions.faults.add(rejection.reason)
    if actions.faults:
        raise Rejection(min(actions.faults, key=_PRECEDENCE.index))


def _read(document: Document, actions: Actions) -> None:
    """Read every object, then what waits until all are known."""
    header = _HEADER.match(document.data)
    if header is None:
        raise Rejection("type_mismatch")
    document.check_end()
    document.walk(header.end())
    if not References(document).are_consistent(document.data[: header.end()].index(b"%PDF")):
        document.search()
    if not {b"/Root", b"/Pages", b"/Kids"} <= actions.seen:
        actions.faults.add("malformed")
    actions.complete = True  # What is read again from here on was noted before.
    triggers.check(document, actions)
