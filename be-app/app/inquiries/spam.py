"""How much an inquiry looks like spam: a score that staff filter by. Nothing is refused or hidden because of it."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, NamedTuple

from app.inquiries.schemas import InquiryCreate

COMPARED: Final = 50
"""Number of the latest inquiries that a new one is compared with."""

COMPARED_FOR: Final = timedelta(days=1)
HIGHEST: Final = 100

_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
_LINK_POINTS, _LINKS_AT_MOST = 15, 60
_REPEATED_POINTS, _REPEATED_AT_MOST = 30, 60
_RATE_POINTS, _RATE_AT_MOST = 10, 40


class Earlier(NamedTuple):
    """Fields of an earlier inquiry that a new one is compared with."""

    email: str
    message: str


def score(request: InquiryCreate, earlier: Iterable[Earlier]) -> int:
    """Return 0 for an inquiry without a sign of spam, up to 100.

    A link has 15 points, the same text before 30, another inquiry of the same address 10; each sign has a limit of
    its own, so that no sign alone is certain. The field that people don't see is: who fills it in gets 100.
    """
    if request.website:
        return HIGHEST
    texts = (request.name, request.company, request.subject, request.message)
    links = sum(len(_LINK.findall(text)) for text in texts)
    known = list(earlier)
    text, address = _folded(request.message), request.email.lower()
    repeated = sum(_folded(one.message) == text for one in known)
    rate = sum(one.email.lower() == address for one in known)
    points = (
        min(links * _LINK_POINTS, _LINKS_AT_MOST)
        + min(repeated * _REPEATED_POINTS, _REPEATED_AT_MOST)
        + min(rate * _RATE_POINTS, _RATE_AT_MOST)
    )
    return min(points, HIGHEST)


def _folded(text: str) -> str:
    """Return a text as it is compared: case and white space make no difference."""
    return " ".join(text.casefold().split())
