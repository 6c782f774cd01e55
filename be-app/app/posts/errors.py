"""Errors of posts."""

from app.core.http.problems import Problem


class SlugTaken(Problem):
    """Another post has the slug."""

    status, code, title = 409, "slug_taken", "Another post has this slug"


class SlugFixed(Problem):
    """The post was public under its slug; its address must keep working."""

    status, code, title = 409, "slug_fixed", "A slug can't change once its post was published"


class TranslationExists(Problem):
    """The group of translations has a post in this language."""

    status, code, title = 409, "translation_exists", "There is a translation in this language already"


class StateForbids(Problem):
    """The post's state doesn't allow the step."""

    status, code, title = 409, "state_forbids", "The post's state doesn't allow this"
