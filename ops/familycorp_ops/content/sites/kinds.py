"""What a site can be imported from."""

from enum import StrEnum


class Kind(StrEnum):
    """Generators, and this service's own format."""

    hugo = "hugo"
    jekyll = "jekyll"
    hexo = "hexo"
    eleventy = "eleventy"
    wordpress = "wordpress"
    ghost = "ghost"
    familycorp = "familycorp"
