"""Errors of categories."""

from app.core.http.problems import Problem
from app.core.messages import marked


class CategoryExists(Problem):
    """The slug is taken."""

    status, code, title = 409, "category_exists", marked("A category with this slug already exists")
    advice = marked("Choose another slug.")


class CategoryInUse(Problem):
    """Posts are filed under the category."""

    status, code, title = 409, "category_in_use", marked("Posts still use this category")
    advice = marked("Move them to another category first.")
