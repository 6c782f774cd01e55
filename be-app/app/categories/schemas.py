"""Requests and responses about categories."""

from typing import Annotated

from pydantic import Field

from app.core.http.schema import Input, Line, Model, PlainSlug

CategorySlug = Annotated[
    str,
    PlainSlug,
    Field(description="Lower-case letters, digits and single hyphens; never changes.", examples=["ir"]),
]
CategoryName = Annotated[str, Field(min_length=1, max_length=100), Line]


class LocalisedName(Input):
    """A name in the site's languages."""

    ko: CategoryName = Field(examples=["투자 정보"])
    en: CategoryName = Field(examples=["Investor relations"])


class CategoryCreate(Input):
    """A new category, the last one until it is moved."""

    slug: CategorySlug
    name: LocalisedName


class CategoryUpdate(Input):
    """Fields of a category that can change."""

    name: LocalisedName


class CategoryOrder(Input):
    """The order of all categories."""

    slugs: list[CategorySlug] = Field(
        max_length=200, description="Every category's slug, once, first to last.", examples=[["news", "ir"]]
    )


class CategoryOut(Model):
    """A category."""

    slug: CategorySlug
    name: LocalisedName


class CategoryListOut(Model):
    """All categories in their order."""

    items: list[CategoryOut]
