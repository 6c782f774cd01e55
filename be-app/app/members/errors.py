"""Errors of members."""

from app.core.http.problems import Problem


class NobodyByThatEmail(Problem):
    """No member has this e-mail address or id."""

    status, code, title = 404, "nobody_by_that_email", "Nobody with this e-mail has logged in yet"


class SeveralByThatEmail(Problem):
    """More than one member has this e-mail address, or one that looks like it; the detail names each on a line."""

    status, code, title = 409, "several_by_that_email", "Several members have this e-mail"
