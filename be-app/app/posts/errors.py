"""Errors of posts."""

from app.core.http.problems import Problem
from app.core.messages import marked


class SlugTaken(Problem):
    """Another post has the slug, or had it while it was public."""

    status, code, title = 409, "slug_taken", marked("Another post has this slug")
    advice = marked("Choose another slug.")


class TranslationExists(Problem):
    """The group of translations has a post in this language."""

    status, code, title = 409, "translation_exists", marked("A translation in this language already exists")
    advice = marked("Edit that translation instead.")


class WorkingCopyExists(Problem):
    """The caller has a working copy of the post already."""

    status, code, title = 409, "working_copy_exists", marked("You have a working copy of this post already")
    advice = marked("Read it, then change it or discard it.")


class InvalidState(Problem):
    """The post's state doesn't allow the step."""

    status, code, title = 409, "invalid_state", marked("The state of the post does not allow this")
