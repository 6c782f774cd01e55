"""Errors of redirects."""

from app.core.http.problems import Problem
from app.core.messages import marked


class RedirectExists(Problem):
    """The path leads somewhere already."""

    status, code, title = 409, "redirect_exists", marked("A redirect of this path already exists")
    advice = marked("Change that redirect instead.")


class RedirectLoop(Problem):
    """The target leads back to the path."""

    status, code, title = 409, "redirect_loop", marked("The target leads back to the path")
    advice = marked("Choose another target.")
