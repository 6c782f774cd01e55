"""Errors of categories."""

from app.core.http.problems import Problem


class CategoryExists(Problem):
    """The slug is taken."""

    status, code, title = 409, "category_exists", "There is a category with this slug"


class CategoryInUse(Problem):
    """Posts are filed under the category."""

    status, code, title = 409, "category_in_use", "Posts are filed under this category; move them first"
