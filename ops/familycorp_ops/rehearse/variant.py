"""What a rehearsal deploys."""

from enum import StrEnum


class Variant(StrEnum):
    """What a release is."""

    IMAGE = "image"
    ZIP = "zip"
