"""One person's inquiries as a file, for a request of access (Personal Information Protection Act, Article 35)."""

import csv
import io
from collections.abc import Iterable

from app.inquiries.schemas import InquiryOut

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(inquiries: Iterable[InquiryOut], *, heading: bool = True) -> str:
    """Return inquiries as CSV (RFC 4180), a row each, under the names of their JSON fields.

    A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV Injection").
    """
    file = io.StringIO()
    names = [field.alias or name for name, field in InquiryOut.model_fields.items()]
    rows = csv.DictWriter(file, names)
    if heading:
        rows.writeheader()
    for inquiry in inquiries:
        values = inquiry.model_dump(mode="json", by_alias=True)
        rows.writerow({name: _cell(value) for name, value in values.items()})
    return file.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
