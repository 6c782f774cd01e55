"""Errors of inquiries."""

from app.core.http.problems import Problem
from app.core.messages import marked


class ExportTooLarge(Problem):
    """A person has more inquiries than one answer can hold."""

    status, code, title = 409, "export_too_large", marked("There are too many inquiries for one response")
    advice = marked("Ask an operator for them: `familycorp inquiries export` has no limit.")
